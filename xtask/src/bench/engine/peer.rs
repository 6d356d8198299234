//! LightGBM in a Python environment of its own, asked by a script beside this file.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

const SCRIPT: &str = include_str!("peer.py");
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The most trees of a model whose loss is to be known.
const TREES_MAX: usize = 600;

/// The peer, ready to train.
#[derive(Debug)]
pub struct Peer {
    folder: PathBuf,
    python: PathBuf,
}

/// What a training came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The library's version.
    pub version: String,
    /// One for each number of trees, rising.
    pub rows: Vec<At>,
}

/// What a number of trees cost and reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct At {
    /// Trees of each model.
    pub trees: usize,
    /// User and system time in seconds, of all models together and with the binning.
    pub cpu_s: f64,
    /// From start to end, in seconds.
    pub wall_s: f64,
    /// Mean pinball loss, or the root of the mean squared error, on the rows foretold.
    pub loss: f64,
}

impl Told {
    /// The number of trees with the least loss: the choice most in favour of the peer.
    #[must_use]
    pub fn best(&self) -> Option<At> {
        self.rows.iter().copied().min_by(|a, b| a.loss.total_cmp(&b.loss))
    }
}

impl Peer {
    /// Makes the environment in a folder unless it is there.
    ///
    /// # Errors
    /// When Python 3 with venv is missing or the packages cannot be had.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let environment = folder.join("python");
        let python = environment.join("bin/python");
        let done = environment.join("requirements.txt");
        if std::fs::read_to_string(&done).ok().as_deref() != Some(REQUIREMENTS) {
            let list = folder.join("requirements.txt");
            std::fs::write(&list, REQUIREMENTS)?;
            said(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
            said(
                Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&list),
            )?;
            std::fs::rename(&list, &done)?;
        }
        std::fs::write(folder.join("peer.py"), SCRIPT)?;
        Ok(Self { folder: folder.to_path_buf(), python })
    }

    /// Trains on a matrix that was written to the folder: nine `quantiles`, or the `mean`.
    ///
    /// # Errors
    /// When it fails or says what is not understood.
    pub fn train(&self, matrix: &str, job: &str, threads: usize, trees: usize) -> anyhow::Result<Told> {
        let mut command = Command::new(&self.python);
        command.arg(self.folder.join("peer.py")).arg(&self.folder).arg(matrix.replace(' ', "_"));
        command.args([job, &threads.to_string(), &trees.to_string()]);
        let text = said(&mut command)?;
        serde_json::from_str(&text).with_context(|| format!("the peer said `{}`", text.trim()))
    }

    /// As [`Peer::train`] with one thread and all trees, but only once for the same script: losses do not change.
    ///
    /// # Errors
    /// As [`Peer::train`], or when the answer cannot be kept.
    pub fn train_once(&self, matrix: &str, job: &str) -> anyhow::Result<Told> {
        let path = self.folder.join(format!("{}.{job}.peer.json", matrix.replace(' ', "_")));
        let key = format!("{SCRIPT}{REQUIREMENTS}");
        let kept =
            std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<(String, Told)>(&bytes).ok());
        if let Some((of, told)) = kept
            && of == key
        {
            return Ok(told);
        }
        let told = self.train(matrix, job, 1, TREES_MAX)?;
        std::fs::write(&path, serde_json::to_vec(&(key, &told))?)?;
        Ok(told)
    }
}

fn said(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
