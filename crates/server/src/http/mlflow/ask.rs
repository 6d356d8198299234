//! What MLflow's clients send: fields in the query of a GET, in the JSON body of everything else.

use axum::extract::{FromRequest, Query, Request};
use axum::http::Method;
use forewatt_service::domain::{SeriesName, VersionId};
use serde_json::{Map, Value};

use super::refuse;
use crate::error::{HttpResult, Problem};
use crate::http::AppState;
use crate::http::extract::{body_bytes, parse_json};

/// The largest body, in bytes.
const BODY_MAX_BYTES: usize = 1 << 20;

/// Fields by name. Unknown ones are passed over: clients of later versions send more.
pub struct Asked(Map<String, Value>);

impl FromRequest<AppState> for Asked {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        if request.method() == Method::GET || request.method() == Method::HEAD {
            let query: Result<Query<Vec<(String, String)>>, _> = Query::try_from_uri(request.uri());
            let Query(pairs) = query.map_err(|rejection| refuse::invalid("query", rejection.body_text()))?;
            let mut fields = Map::new();
            for (name, value) in pairs {
                fields.insert(name, Value::String(value));
            }
            return Ok(Self(fields));
        }
        let body = body_bytes(request, state, BODY_MAX_BYTES).await?;
        parse_json(&body).map(Self)
    }
}

impl Asked {
    /// A text; empty counts as absent. A number counts as its text.
    pub fn text(&self, name: &str) -> HttpResult<Option<String>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(refuse::invalid(name, "is not a text")),
        }
    }

    /// A text that must be there.
    pub fn required(&self, name: &str) -> HttpResult<String> {
        self.text(name)?.ok_or_else(|| refuse::invalid(name, "is missing"))
    }

    /// A number from 1 to `max`.
    pub fn count(&self, name: &str, default: usize, max: usize) -> HttpResult<usize> {
        let Some(text) = self.text(name)? else { return Ok(default) };
        let read = text.parse::<usize>().ok().filter(|count| (1..=max).contains(count));
        read.ok_or_else(|| refuse::invalid(name, format!("is not a whole number from 1 to {max}")))
    }

    /// A list of texts, or one alone.
    pub fn list(&self, name: &str) -> HttpResult<Vec<String>> {
        match self.0.get(name) {
            Some(Value::Array(values)) => {
                let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
                texts.collect::<Option<_>>().ok_or_else(|| refuse::invalid(name, "is not a list of texts"))
            }
            _ => Ok(self.text(name)?.into_iter().collect()),
        }
    }

    /// The series that the model's name is.
    pub fn series(&self) -> HttpResult<SeriesName> {
        let name = self.required("name")?;
        name.parse().map_err(|_| refuse::unknown_model(&name))
    }

    /// The id of the version that name and number give.
    pub fn version(&self) -> HttpResult<(SeriesName, VersionId)> {
        let (series, number) = (self.series()?, self.required("version")?);
        let read = number.parse::<u32>().ok().filter(|&n| n > 0 && n.to_string() == number);
        let number = read.ok_or_else(|| refuse::invalid("version", "is not a number such as 3"))?;
        let id = VersionId::new(&series, number);
        Ok((series, id))
    }
}
