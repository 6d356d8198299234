//! Keys, rights and the audit log of the built executable from outside: made by commands, asked for by a server.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its house must fail")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

struct House(tempfile::TempDir);

impl House {
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forewatt"));
        command.current_dir(self.0.path()).args(line.split(' ')).stdin(Stdio::null());
        for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("FOREWATT_")) {
            command.env_remove(key);
        }
        // A store that is asked anew for every key shows a revocation by another process at once.
        command.env("FOREWATT_AUTH__REQUIRED", "true").env("FOREWATT_AUTH__KEYS_TTL_MS", "1");
        command.env("USER", "tester");
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    fn json(&self, line: &str) -> Value {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn serve(&self) -> Server {
        let mut command = self.command("serve --listen 127.0.0.1:0 --json");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut text = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !text.contains('}') && lines.read_line(&mut text).unwrap() > 0 {}
        let told: Value = serde_json::from_str(&text).unwrap();
        let address = told["listening"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        Server { child, address }
    }
}

struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Status and body of a request, with a key when there is one.
    fn ask(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let key = key.map_or_else(String::new, |key| format!("authorization: Bearer {key}\r\n"));
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{key}\r\n{body}"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        (status, text.split_once("\r\n\r\n").unwrap().1.to_owned())
    }
}

fn holds(folder: &Path, secret: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, secret);
        }
        std::fs::read(path).unwrap().windows(secret.len()).any(|bytes| bytes == secret.as_bytes())
    })
}

#[test]
fn keys_are_made_used_replaced_and_revoked() {
    let house = House(tempfile::tempdir().unwrap());
    let made = house.json("keys create gateway --scope read --scope write --series city.* --days 2 --json");
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(key.starts_with(&format!("fw_{id}_")) && key.len() == 80, "{made}");
    assert!(made.get("sha256").is_none());
    let server = house.serve();
    assert_eq!(server.ask("GET", "/health/ready", None, "").0, 200);
    assert_eq!(server.ask("GET", "/v1/series", None, "").0, 401);
    assert_eq!(server.ask("GET", "/v1/series", Some(key), "").0, 200);
    let described = r#"{"kind":"load","unit":"MW","resolution":"PT1H","time_zone":"UTC"}"#;
    assert_eq!(server.ask("PUT", "/v1/series/city.load", Some(key), described).0, 201);
    assert_eq!(server.ask("PUT", "/v1/series/town.load", Some(key), described).0, 403);
    assert_eq!(server.ask("POST", "/v1/train", Some(key), r#"{"series":"city.load"}"#).0, 403);

    let next = house.json(&format!("keys rotate {id} --overlap-hours 1 --json"));
    let next = next["key"].as_str().unwrap();
    for key in [key, next] {
        assert_eq!(server.ask("GET", "/v1/series", Some(key), "").0, 200);
    }
    house.json(&format!("keys revoke {id} --json"));
    // What the server knew of the key lasts a millisecond.
    while server.ask("GET", "/v1/series", Some(key), "").0 == 200 {}
    let refused = server.ask("GET", "/v1/series", Some(key), "");
    assert!(refused.0 == 401 && !refused.1.contains("revoked"), "{refused:?}");
    assert_eq!(server.ask("GET", "/v1/series", Some(next), "").0, 200);

    let lines = house.json("audit --json");
    let seen: Vec<(&str, &str)> = lines
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["action"].as_str().unwrap(), line["outcome"].as_str().unwrap()))
        .collect();
    for line in [
        ("keys create", id),
        ("keys revoke", id),
        ("PUT /v1/series/{name}", "201"),
        ("GET /v1/series", "refused: no key"),
        ("GET /v1/series", "refused: revoked key"),
        ("POST /v1/train", "refused: not in its rights"),
    ] {
        assert!(seen.contains(&line), "{line:?} in {seen:?}");
    }
    assert_eq!(lines[seen.len() - 1]["actor"], "command line (tester)");
    assert!(!holds(house.0.path(), &key[16..]) && !holds(house.0.path(), &next[16..]), "no file holds a key");
}

#[test]
fn commands_leave_lines_too() {
    let house = House(tempfile::tempdir().unwrap());
    std::fs::write(
        house.0.path().join("load.csv"),
        "time,mw\n2024-01-01T00:00:00Z,1\n2024-01-01T01:00:00Z,2\n",
    )
    .unwrap();
    house.json("import load.csv --series city.load --time time --value mw --time-zone UTC --unit MW --kind load --json");
    let lines = house.json("audit --json");
    let line = &lines[0];
    assert_eq!((line["action"].as_str(), line["outcome"].as_str()), (Some("forewatt import"), Some("done")));
    assert_eq!((line["series"].as_str(), &line["before"]), (Some("city.load"), &Value::Null));
    assert_eq!(line["after"].as_str().unwrap().len(), 64);
    let missing = house.run("keys revoke 000000000000");
    assert_eq!(missing.status.code(), Some(3), "{}", String::from_utf8_lossy(&missing.stderr));
    assert_eq!(house.run("keys create x --scope root").status.code(), Some(2));
}
