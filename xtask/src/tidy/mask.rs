//! Rust source with comments and literals blanked, so that rules see code only.

/// Replaces comments and the insides of string and character literals by spaces; lines stay where they are.
pub(crate) fn mask(source: &str) -> String {
    let mut masker = Masker { rest: source, out: String::with_capacity(source.len()) };
    while !masker.rest.is_empty() {
        masker.step();
    }
    masker.out
}

struct Masker<'a> {
    rest: &'a str,
    out: String,
}

impl Masker<'_> {
    fn step(&mut self) {
        let after_word = self.out.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        if self.rest.starts_with("//") {
            let length = self.rest.find('\n').unwrap_or(self.rest.len());
            self.blank(length);
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment(self.rest));
        } else if let Some(length) = (!after_word).then(|| raw_string(self.rest)).flatten() {
            self.blank(length);
        } else if self.rest.starts_with('"') {
            self.blank(quoted(self.rest));
        } else if let Some(length) = character(self.rest) {
            self.blank(length);
        } else if let Some(next) = self.rest.chars().next() {
            self.out.push(next);
            self.rest = &self.rest[next.len_utf8()..];
        }
    }

    fn blank(&mut self, length: usize) {
        let (gone, rest) = self.rest.split_at(length);
        self.out.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

/// The length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let (bytes, mut depth, mut at) = (text.as_bytes(), 0usize, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// The length of `r"..."`, `br#"..."#` and their like, when the text starts with one.
fn raw_string(text: &str) -> Option<usize> {
    let start = text.find('r').filter(|&at| at == 0 || matches!(&text[..at], "b" | "c"))?;
    let hashes = text[start + 1..].bytes().take_while(|&byte| byte == b'#').count();
    let open = start + 1 + hashes;
    if text.as_bytes().get(open) != Some(&b'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let length = text[open + 1..].find(&close).map_or(text.len(), |at| open + 1 + at + close.len());
    Some(length)
}

/// The length of a string in plain quotes.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let mut inside = text.strip_prefix('\'')?.char_indices();
    let (_, first) = inside.next()?;
    if first == '\\' {
        let close = text.get(3..)?.find('\'')?; // after the quote, the backslash and what it escapes
        return Some(3 + close + 1);
    }
    inside.next().filter(|&(_, c)| c == '\'').map(|(at, _)| 1 + at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_go_and_code_stays() {
        for (source, code) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("x(\"a\\\"b{\")", "x(       )"),
            ("x(r#\"a\"{\"#)", "x(        )"),
            ("let c = '{';", "let c =    ;"),
            ("let c = '\\'';", "let c =     ;"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("b'{' br\"}\"", "b         "),
            ("for r in \"}\" {}", "for r in     {}"),
        ] {
            assert_eq!(mask(source), code, "{source}");
        }
    }

    #[test]
    fn lines_stay_where_they_are() {
        let source = "\"a\nb\"\n/* c\nd */ e";
        assert_eq!(mask(source).lines().count(), source.lines().count());
        assert!(mask(source).ends_with(" e"));
    }

    #[test]
    fn unfinished_source_ends() {
        for source in ["\"a", "/* a", "r#\"a", "'", "'\\", "'\\'", "\"\\"] {
            assert_eq!(mask(source).chars().count(), source.chars().count(), "{source}");
        }
    }
}
