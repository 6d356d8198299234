//! The filter of MLflow's searches: comparisons joined by AND, such as ``name LIKE 'city%' AND tag.`owner` = 'grid'``.

/// Comparisons of one filter at most.
const COMPARISONS_MAX: usize = 20;
/// The longest filter, in bytes.
const FILTER_MAX_BYTES: usize = 10_000;

/// Joined comparisons; none lets everything pass.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filter(Vec<Comparison>);

#[derive(Debug, PartialEq, Eq)]
struct Comparison {
    field: Field,
    operator: Operator,
    values: Vec<String>,
}

/// What is compared.
#[derive(Debug, PartialEq, Eq)]
pub enum Field {
    /// `name`, `run_id`, `version_number`, ...
    Attribute(String),
    /// ``tag.`key` ``.
    Tag(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Like,
    ILike,
    In,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(char),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// A text that says where it is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > FILTER_MAX_BYTES {
            return Err(format!("is longer than {FILTER_MAX_BYTES} bytes"));
        }
        let mut tokens = tokens(text)?.into_iter().peekable();
        let mut all = Vec::new();
        while tokens.peek().is_some() {
            if !all.is_empty() && !is_word(tokens.next(), "and") {
                return Err("joins comparisons by AND alone".to_owned());
            }
            all.push(comparison(&mut tokens)?);
            if all.len() > COMPARISONS_MAX {
                return Err(format!("has more than {COMPARISONS_MAX} comparisons"));
            }
        }
        Ok(Self(all))
    }

    /// Whether something passes; `value` tells what it has in a field. What it has not is unequal to everything.
    ///
    /// # Errors
    /// The text of `value` for a field that cannot be compared.
    pub fn passes(&self, value: impl Fn(&Field) -> Result<Option<String>, String>) -> Result<bool, String> {
        for comparison in &self.0 {
            let found = value(&comparison.field)?;
            let is = |wanted: &String| found.as_ref() == Some(wanted);
            let first = comparison.values.first().map_or("", String::as_str);
            let like = |lower: bool| {
                let fold = |text: &str| if lower { text.to_lowercase() } else { text.to_owned() };
                found.as_deref().is_some_and(|found| matches(&fold(first), &fold(found)))
            };
            let passes = match comparison.operator {
                Operator::Equal | Operator::In => comparison.values.iter().any(is),
                Operator::Unequal => !comparison.values.iter().any(is),
                Operator::Like => like(false),
                Operator::ILike => like(true),
            };
            if !passes {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn is_word(token: Option<Token>, word: &str) -> bool {
    matches!(token, Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
}

fn comparison(tokens: &mut impl Iterator<Item = Token>) -> Result<Comparison, String> {
    let field = match tokens.next() {
        Some(Token::Word(word)) => match word.split_once('.') {
            Some(("tag" | "tags", "")) => match tokens.next() {
                Some(Token::Quoted(key)) => Field::Tag(key),
                _ => return Err("needs the tag's key after `tag.`".to_owned()),
            },
            Some(("tag" | "tags", key)) => Field::Tag(key.to_owned()),
            _ => Field::Attribute(word),
        },
        _ => return Err("needs a field such as name or tag.`key`".to_owned()),
    };
    let operator = match tokens.next() {
        Some(Token::Sign('=')) => Operator::Equal,
        Some(Token::Sign('!')) if tokens.next() == Some(Token::Sign('=')) => Operator::Unequal,
        Some(Token::Word(word)) => match word.to_ascii_lowercase().as_str() {
            "like" => Operator::Like,
            "ilike" => Operator::ILike,
            "in" => Operator::In,
            _ => return Err(format!("compares by =, !=, LIKE, ILIKE or IN, not by `{word}`")),
        },
        _ => return Err("compares by =, !=, LIKE, ILIKE or IN".to_owned()),
    };
    let values = if operator == Operator::In { list(tokens)? } else { vec![single(tokens.next())?] };
    Ok(Comparison { field, operator, values })
}

fn single(token: Option<Token>) -> Result<String, String> {
    match token {
        Some(Token::Quoted(text) | Token::Word(text)) => Ok(text),
        _ => Err("needs a value such as 'text' after the comparison".to_owned()),
    }
}

fn list(tokens: &mut impl Iterator<Item = Token>) -> Result<Vec<String>, String> {
    let wrong = || "needs a list such as ('a', 'b') after IN".to_owned();
    if tokens.next() != Some(Token::Sign('(')) {
        return Err(wrong());
    }
    let mut values = Vec::new();
    loop {
        values.push(single(tokens.next())?);
        match tokens.next() {
            Some(Token::Sign(',')) => (),
            Some(Token::Sign(')')) => return Ok(values),
            _ => return Err(wrong()),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_whitespace() => (),
            '\'' | '"' | '`' => {
                let quoted: String = rest.by_ref().take_while(|&d| d != c).collect();
                found.push(Token::Quoted(quoted));
            }
            '=' | '!' | '(' | ')' | ',' => found.push(Token::Sign(c)),
            c if c.is_alphanumeric() || matches!(c, '_' | '.' | '-') => {
                let mut word = String::from(c);
                while let Some(d) = rest.next_if(|d| d.is_alphanumeric() || matches!(d, '_' | '.' | '-')) {
                    word.push(d);
                }
                found.push(Token::Word(word));
            }
            other => return Err(format!("has `{other}` where none can be")),
        }
    }
    Ok(found)
}

/// SQL's LIKE: `%` is any text, `_` any letter. Greedy with one way back, so that no pattern takes long.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut back) = (0, 0, None);
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '%' {
            back = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '_' || pattern[p] == text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((star, from)) = back {
            back = Some((star, from + 1));
            (p, t) = (star + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(filter: &str) -> Result<bool, String> {
        let value = |field: &Field| match field {
            Field::Attribute(name) if name == "name" => Ok(Some("city.load".to_owned())),
            Field::Attribute(name) => Err(format!("cannot compare `{name}`")),
            Field::Tag(key) if key == "the owner" => Ok(Some("grid".to_owned())),
            Field::Tag(_) => Ok(None),
        };
        Filter::parse(filter)?.passes(value)
    }

    #[test]
    fn filters_are_read_as_clients_write_them() {
        for yes in [
            "",
            "tag.`mlflow.prompt.is_prompt` != 'true'",
            "name = 'city.load' AND tag.`mlflow.prompt.is_prompt` != 'true'",
            "name='city.load'",
            "name LIKE 'city%' and tags.'the owner' = \"grid\"",
            "name ILIKE '%LOAD'",
            "name IN ('x', 'city.load')",
            "name LIKE '_ity.%o%d'",
            "tag.missing != 'x'",
        ] {
            assert_eq!(passes(yes), Ok(true), "{yes}");
        }
        for no in
            ["name = 'city'", "name LIKE 'city'", "tag.missing = ''", "name != 'city.load'", "name IN ('x')"]
        {
            assert_eq!(passes(no), Ok(false), "{no}");
        }
        for wrong in [
            "name",
            "name =",
            "name > 'a'",
            "name = 'a' OR name = 'b'",
            "= 'a'",
            "name IN 'a'",
            "size = '1'",
            "name = 'a' 'b'",
        ] {
            assert!(passes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn patterns_do_not_take_long() {
        assert!(!matches(&"%a".repeat(500), &"b".repeat(5_000)));
    }
}
