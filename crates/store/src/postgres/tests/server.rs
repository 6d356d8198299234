//! A private PostgreSQL for tests: one server for all test processes of a run, a database for each test.
//!
//! The server is the installed package's, started by the first test as a user without rights, in a temporary folder, on
//! a socket there and nowhere else, without syncs. Every test process holds a shared lock while it lives; a small shell
//! waits for all of them to be gone, stops the server and removes its data. Included by path in the tests of other
//! crates, so it needs the standard library alone.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// How to get it.
const INSTALL: &str = "PostgreSQL is missing; run as root: apt-get update && apt-get install -y --no-install-recommends postgresql";
/// Waits for the tests to end and a little longer, for one may follow another; then cleans up. Arguments: the folder
/// of the programs, the folder of the server.
const KEEPER: &str = r#"
while :; do
    flock -x "$2/users" true
    sleep 3
    flock -x -n "$2/users" sh -c '"$1/pg_ctl" -D "$2/data" -m immediate stop; rm -rf "$2/data" "$2"/.s.*' sh "$1" "$2" && exit
done
"#;
const SETTINGS: [&str; 9] = [
    "fsync=off",
    "full_page_writes=off",
    "listen_addresses=",
    "max_connections=300",
    "shared_buffers=64MB",
    "max_wal_size=512MB",
    "autovacuum=off",
    "log_min_messages=warning",
    "timezone=Asia/Kathmandu", // a server's own zone must not matter
];

/// A database of its own on the server, dropped with this value.
#[derive(Debug)]
pub struct Database {
    name: String,
}

impl Database {
    /// A new, empty one; `None` where PostgreSQL is not installed and nobody insists on it.
    pub fn create() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        server()?;
        let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let database = Self { name };
        sql("postgres", &format!("CREATE DATABASE {}", database.name));
        Some(database)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.url_as("postgres")
    }

    /// Where it is, for another role.
    pub fn url_as(&self, role: &str) -> String {
        let folder = folder().display().to_string().replace('/', "%2F");
        format!("postgres://{role}@{folder}/{}", self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs SQL as the administrator and returns what it printed, a row a line.
    pub fn sql(&self, text: &str) -> String {
        sql(&self.name, text)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        sql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// The folder of the server's socket.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let user = Command::new("id").arg("-u").output().map(|o| o.stdout).unwrap_or_default();
        let user = String::from_utf8_lossy(&user).trim().to_owned();
        std::env::temp_dir().join(format!("forewatt-tests-{user}"))
    })
}

fn sql(database: &str, text: &str) -> String {
    let programs = programs().expect("a server runs, so its programs are there");
    let output = Command::new(programs.join("psql"))
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", text])
        .env("PGHOST", folder())
        .env_remove("PGPORT")
        .stdin(Stdio::null())
        .output()
        .expect("psql starts");
    assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Starts the server unless it runs, and keeps it running while this process lives.
fn server() -> Option<()> {
    static STARTED: OnceLock<Option<File>> = OnceLock::new();
    STARTED.get_or_init(start).as_ref().map(|_| ())
}

fn start() -> Option<File> {
    let Some(programs) = programs() else {
        assert!(std::env::var_os("CI").is_none(), "{INSTALL}");
        eprintln!("SKIPPED: {INSTALL}");
        return None;
    };
    let folder = folder();
    fs::create_dir_all(folder).expect("the temporary folder can be written");
    let open = |name: &str| {
        let options = File::options().create(true).append(true).open(folder.join(name));
        options.expect("a file in our folder can be opened")
    };
    let users = open("users");
    users.lock_shared().expect("a shared lock can be had once a server that stops is gone");
    let starting = open("starting");
    starting.lock().expect("one process starts it");
    if UnixStream::connect(folder.join(".s.PGSQL.5432")).is_err() {
        launch(&programs, folder);
    }
    drop(starting);
    Some(users)
}

fn launch(programs: &Path, folder: &Path) {
    let data = folder.join("data");
    if data.exists() {
        fs::remove_dir_all(&data).expect("what a killed run left can be removed");
    }
    if is_root() {
        run(Command::new("chown").arg("postgres").arg(folder));
    }
    let text = |path: &Path| path.display().to_string();
    let program = |name: &str| text(&programs.join(name));
    let (data, log) = (text(&data), text(&folder.join("log")));
    run(as_plain_user(&[
        &program("initdb"),
        "-D",
        &data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "-N",
    ])
    .stdout(Stdio::null()));
    let settings = SETTINGS.map(|setting| format!("-c {setting}")).join(" ");
    let settings = format!("{settings} -k {}", folder.display());
    run(as_plain_user(&[&program("pg_ctl"), "-D", &data, "-l", &log, "-w", "-o", &settings, "start"])
        .stdout(Stdio::null()));
    // It outlives this process, and has none of its descriptors: the locks must be free when the process ends.
    run(as_plain_user(&["setsid", "--fork", "sh", "-c", KEEPER, "sh", &text(programs), &text(folder)])
        .stdout(Stdio::null())
        .stderr(Stdio::null()));
}

fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status();
    assert!(status.as_ref().is_ok_and(|status| status.success()), "{command:?}: {status:?}");
}

/// PostgreSQL refuses to run as root.
fn as_plain_user(arguments: &[&str]) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", arguments[0]]);
        command
    } else {
        Command::new(arguments[0])
    };
    command.args(&arguments[1..]).current_dir("/");
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The folder of `initdb` and its kin: Debian keeps them out of the path, one folder a version.
fn programs() -> Option<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, programs)| programs.join("initdb").is_file())
        .collect();
    versions.sort();
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file())
    };
    versions.pop().map(|(_, programs)| programs).or_else(on_path)
}

/// A pgbouncer in transaction mode before a database, stopped with this value.
#[derive(Debug)]
pub struct Pooler {
    process: std::process::Child,
    folder: PathBuf,
    database: String,
}

impl Pooler {
    /// Starts one with so many connections to the server; `None` where pgbouncer is not installed.
    pub fn start(database: &Database, connections: u32) -> Option<Self> {
        let found = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|p| Path::new(p).exists());
        let Some(program) = found else {
            eprintln!("SKIPPED: pgbouncer is missing: apt-get install -y --no-install-recommends pgbouncer");
            return None;
        };
        let folder = std::env::temp_dir().join(format!("forewatt-pooler-{}", database.name()));
        fs::create_dir_all(&folder).expect("the temporary folder can be written");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&folder));
        }
        let (here, there, name) = (folder.display(), self::folder().display(), &database.name);
        let settings = format!(
            "[databases]\n{name} = host={there} dbname={name} user=postgres\n[pgbouncer]\nlisten_addr =\n\
             unix_socket_dir = {here}\nauth_type = any\npool_mode = transaction\ndefault_pool_size = {connections}\n\
             max_client_conn = 100\n"
        );
        let file = folder.join("pgbouncer.ini");
        fs::write(&file, settings).expect("the temporary folder can be written");
        // -q and no -d: it stays this process's child and ends with it.
        let process = as_plain_user(&[program, "-q", &file.display().to_string()])
            .stdin(Stdio::null())
            .spawn()
            .expect("pgbouncer starts");
        let pooler = Self { process, folder, database: name.clone() };
        while UnixStream::connect(pooler.folder.join(".s.PGSQL.6432")).is_err() {
            std::thread::yield_now();
        }
        Some(pooler)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:6432/{}", self.database)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // By a signal that runuser hands on; a kill would leave its child behind.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
