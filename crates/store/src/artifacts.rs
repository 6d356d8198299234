//! Artifacts: bytes kept under their own SHA-256, in files or in memory. Every backend uses them.

use std::path::Path;
use std::sync::Arc;

use forewatt_domain::recipe::hex;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The greatest artifact, in bytes: it is held in memory as a whole.
pub const ARTIFACT_MAX_BYTES: usize = 1 << 30;

/// A folder of artifacts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Artifacts {
    store: Arc<dyn ObjectStore>,
}

impl Artifacts {
    /// Artifacts as files of a folder, which is created.
    ///
    /// # Errors
    /// [`Error::CannotWrite`] when the folder cannot be made.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let cannot = |error: &dyn std::fmt::Display| Error::CannotWrite {
            detail: format!(
                "creating the folder {}: {error}; check the path and the right to write there",
                folder.display()
            ),
        };
        std::fs::create_dir_all(folder).map_err(|e| cannot(&e))?;
        let files = LocalFileSystem::new_with_prefix(folder).map_err(|e| cannot(&e))?;
        // With fsync, a version that is registered after its artifact was put never outlives it.
        Ok(Self { store: Arc::new(files.with_fsync(true)) })
    }

    /// Artifacts of a folder that must be there already, such as a backup's.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such folder.
    pub fn open_folder(folder: &Path) -> Result<Self> {
        if folder.is_dir() {
            return Self::in_folder(folder);
        }
        Err(Error::NotFound { what: "folder of artifacts", name: folder.display().to_string() })
    }

    /// Artifacts that vanish with the last clone.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { store: Arc::new(InMemory::new()) }
    }

    /// Keeps bytes durably and returns their address. Putting again what is there mends it if it was damaged.
    ///
    /// # Errors
    /// [`Error::Invalid`] over [`ARTIFACT_MAX_BYTES`], [`Error::CannotWrite`].
    pub async fn put(&self, bytes: &[u8]) -> Result<String> {
        let address = hex(&Sha256::digest(bytes));
        if bytes.len() > ARTIFACT_MAX_BYTES {
            return Err(Error::Invalid {
                what: "artifact",
                name: address,
                detail: format!("it has {} bytes, the limit is {ARTIFACT_MAX_BYTES}", bytes.len()),
            });
        }
        let payload = PutPayload::from(bytes.to_vec());
        match self.store.put(&key(&address), payload).await {
            Ok(_) => Ok(address),
            Err(error) => Err(Error::CannotWrite {
                detail: format!(
                    "keeping the artifact {address}: {error}; check the artifact folder's rights and free space"
                ),
            }),
        }
    }

    /// The bytes at an address.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Corrupt`] when they are not what the address says.
    pub async fn get(&self, address: &str) -> Result<Vec<u8>> {
        check_address(address)?;
        let read = async { self.store.get(&key(address)).await?.bytes().await };
        let bytes = read.await.map_err(|e| failed(address, &e))?;
        let found = hex(&Sha256::digest(&bytes));
        if found == address {
            return Ok(bytes.into());
        }
        Err(Error::Corrupt {
            what: "artifact",
            name: address.to_owned(),
            detail: format!(
                "its {} bytes have the SHA-256 {found}; restore the file from a backup or train again",
                bytes.len()
            ),
        })
    }

    /// How many bytes lie at an address.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn size(&self, address: &str) -> Result<u64> {
        check_address(address)?;
        let meta = self.store.head(&key(address)).await.map_err(|e| failed(address, &e))?;
        Ok(meta.size)
    }
}

/// 64 lower-case hex digits and nothing else: an address from outside must not name another file.
fn check_address(address: &str) -> Result<()> {
    let ok = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if address.len() == 64 && address.bytes().all(ok) {
        return Ok(());
    }
    Err(Error::NotFound { what: "artifact", name: address.chars().take(80).collect() })
}

/// Two levels, so that no folder grows without bound.
fn key(address: &str) -> Key {
    Key::from_iter([&address[..2], address])
}

fn failed(address: &str, error: &object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => {
            Error::NotFound { what: "artifact", name: address.to_owned() }
        }
        other => Error::Backend { detail: format!("reading the artifact {address}: {other}") },
    }
}
