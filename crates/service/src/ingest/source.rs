//! Where bytes come from, and what stands between them and the parser: gzip, limits, encodings.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::error::ImportError;
use super::options::Limits;

/// Something that can be read from its beginning several times: the parser looks before it reads.
pub trait Source: Send + Sync {
    /// A reader at the first byte.
    ///
    /// # Errors
    /// As opening the file gives them.
    fn open(&self) -> io::Result<Box<dyn Read + Send>>;
    /// How many bytes one reading gives, before decompression; 0 when unknown.
    fn byte_len(&self) -> u64;
}

/// A file on disk.
#[derive(Debug, Clone)]
pub struct FileSource(pub PathBuf);

/// Bytes in memory, as a request body brings them.
#[derive(Debug, Clone)]
pub struct BytesSource(pub Bytes);

impl Source for FileSource {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let file = File::open(&self.0)?;
        if !file.metadata()?.is_file() {
            // A pipe or folder cannot be read three times.
            return Err(io::Error::other("it is not a regular file: save the data to a file first"));
        }
        Ok(Box::new(file))
    }
    fn byte_len(&self) -> u64 {
        std::fs::metadata(&self.0).map_or(0, |m| m.len())
    }
}

impl Source for BytesSource {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.0.clone())))
    }
    fn byte_len(&self) -> u64 {
        self.0.len() as u64
    }
}

/// A decompressed, limited reader whose first bytes look like text, and whether it was gzip.
pub(super) fn open_text(
    source: &dyn Source,
    limits: &Limits,
) -> Result<(Box<dyn Read + Send>, bool), ImportError> {
    let io = |e| ImportError::from_io(e, 0, false);
    let compressed = Arc::new(AtomicU64::new(0));
    let counted = Counted { inner: source.open().map_err(io)?, count: Arc::clone(&compressed) };
    let (head, rest) = peek(Box::new(counted), 8).map_err(io)?;
    let gzip = head.starts_with(&[0x1f, 0x8b]);
    let inner: Box<dyn Read + Send> = if gzip { Box::new(MultiGzDecoder::new(rest)) } else { rest };
    let guard = Guard { inner, compressed: gzip.then_some(compressed), out: 0, limits: *limits };
    let (head, mut rest) = peek(Box::new(guard), 64).map_err(|e| ImportError::from_io(e, 0, gzip))?;
    refuse_binary(&head)?;
    if head.starts_with(&[0xef, 0xbb, 0xbf]) {
        let mut bom = [0; 3];
        rest.read_exact(&mut bom).map_err(|e| ImportError::from_io(e, 0, gzip))?;
    }
    Ok((rest, gzip))
}

/// The first `want` bytes (fewer at the end) and a reader that still gives them.
fn peek(mut reader: Box<dyn Read + Send>, want: u64) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let mut head = Vec::new();
    reader.by_ref().take(want).read_to_end(&mut head)?;
    let again = Cursor::new(head.clone()).chain(reader);
    Ok((head, Box::new(again)))
}

/// Formats people mistake for CSV, by their first bytes.
fn refuse_binary(head: &[u8]) -> Result<(), ImportError> {
    const UTF16: &str = "save it as UTF-8 (iconv -f UTF-16 -t UTF-8)";
    const KNOWN: [(&[u8], &str, &str); 9] = [
        (&[0xff, 0xfe], "UTF-16 text", UTF16),
        (&[0xfe, 0xff], "UTF-16 text", UTF16),
        (b"PK\x03\x04", "a zip archive or an .xlsx workbook", "unzip it, or save the sheet as CSV"),
        (&[0x1f, 0x8b], "gzip within gzip", "decompress it once first"),
        (b"PAR1", "a Parquet file", "write it out as CSV"),
        (&[0x28, 0xb5, 0x2f, 0xfd], "zstd data", "decompress it or use gzip"),
        (&[0xfd, b'7', b'z', b'X', b'Z'], "xz data", "decompress it or use gzip"),
        (b"BZh", "bzip2 data", "decompress it or use gzip"),
        (&[0xd0, 0xcf, 0x11, 0xe0], "an .xls workbook", "save the sheet as CSV"),
    ];
    let known = KNOWN.iter().find(|(magic, ..)| head.starts_with(magic));
    match known {
        Some((_, what, mend)) => Err(ImportError::NotCsv { what, mend }),
        None if head.contains(&0) => {
            Err(ImportError::NotCsv { what: "binary data or UTF-16 text", mend: UTF16 })
        }
        None => Ok(()),
    }
}

/// Counts what passes.
struct Counted {
    inner: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Stops a reader that gives too much.
struct Guard {
    inner: Box<dyn Read + Send>,
    /// Compressed bytes taken in, for gzip.
    compressed: Option<Arc<AtomicU64>>,
    out: u64,
    limits: Limits,
}

impl Guard {
    /// Ratios are judged only past this many bytes: short files of zeros compress well and harm nobody.
    const JUDGED_FROM: u64 = 16 << 20;

    fn refusal(&self) -> Option<String> {
        if self.out > self.limits.max_bytes {
            return Some(format!("the limit is {} bytes: import it in parts", self.limits.max_bytes));
        }
        let taken = self.compressed.as_ref()?.load(Ordering::Relaxed).max(1);
        let ratio = self.out / taken;
        (self.out > Self::JUDGED_FROM && ratio > self.limits.max_gzip_ratio).then(|| {
            format!(
                "each byte of gzip became {ratio}, the limit is {}: if the file is honest, decompress it first",
                self.limits.max_gzip_ratio
            )
        })
    }
}

impl Read for Guard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.out += n as u64;
        match self.refusal() {
            Some(why) => Err(io::Error::other(ImportError::TooLarge { bytes: self.out, why })),
            None => Ok(n),
        }
    }
}
