//! Bodies of the protocol: JSON, and raw tensors after it.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::IntoResponse as _;
use forewatt_service::Error;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::error::{HttpResult, Problem};
use crate::http::extract::parse_json;
use crate::http::reply;
use crate::oip::tensor::{Data, Tensor};
use crate::oip::{Model, Question, Reply};

/// How many bytes of the body are JSON; the rest are raw tensors.
const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");
/// Inputs and outputs of one question; no model has nearly as many.
const TENSORS_MAX: usize = 64;

/// What is asked, and which outputs go back as raw bytes.
pub struct Asked {
    /// The question, still without its model.
    pub question: Question,
    /// Who wants raw bytes.
    pub binary: Binary,
}

/// Which outputs go back as raw bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binary {
    by_default: bool,
    named: HashMap<String, bool>,
}

impl Binary {
    fn wants(&self, output: &str) -> bool {
        self.named.get(output).copied().unwrap_or(self.by_default)
    }
}

/// A question.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here; what is read is more lenient")]
pub struct InferDocument {
    /// Sent back as it came.
    id: Option<String>,
    /// `priority` (2 and more can wait), `timeout` (microseconds), `binary_data_output`.
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
    /// What is given: `name`, `shape`, `datatype` and `data`.
    inputs: Vec<InferTensorDocument>,
    /// What is wanted; all outputs when absent.
    #[schema(value_type = Option<Vec<Object>>)]
    outputs: Option<Value>,
}

/// A named tensor.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here; what is read is more lenient")]
pub struct InferTensorDocument {
    /// `horizon`, `features`, ...
    name: String,
    /// Its extents.
    shape: Vec<u64>,
    /// `FP32`, `FP64`, `INT64`, `BYTES`, ...
    datatype: String,
    /// The values, nested or flat, row by row.
    #[schema(value_type = Vec<Object>)]
    data: Value,
}

/// Clients send more fields than these (`model_name`): they are passed over.
#[derive(Deserialize)]
struct InferBody {
    id: Option<String>,
    parameters: Option<Map<String, Value>>,
    inputs: Vec<InputBody>,
    outputs: Option<Vec<OutputBody>>,
}

#[derive(Deserialize)]
struct InputBody {
    name: String,
    shape: Vec<i64>,
    datatype: String,
    parameters: Option<Map<String, Value>>,
    data: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct OutputBody {
    name: String,
    parameters: Option<Map<String, Value>>,
}

/// The header that splits the body, when it is there.
///
/// # Errors
/// 400 when it is no number.
pub fn header_length(headers: &HeaderMap) -> HttpResult<Option<usize>> {
    let Some(value) = headers.get(HEADER_LENGTH) else { return Ok(None) };
    let read = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    read.map(Some)
        .ok_or_else(|| Problem::invalid("Inference-Header-Content-Length", "is not a number of bytes"))
}

/// Reads a body whose first `header` bytes, or all, are JSON.
///
/// # Errors
/// 400 that says which part of the body is wrong.
pub fn read(body: &Bytes, header: Option<usize>) -> HttpResult<Asked> {
    let (json, mut raw) = body.split_at_checked(header.unwrap_or(body.len())).ok_or_else(|| {
        let detail = format!("promises more than the {} bytes of the body", body.len());
        Problem::invalid("Inference-Header-Content-Length", detail)
    })?;
    let asked: InferBody = parse_json(json)?;
    let outputs = asked.outputs.unwrap_or_default();
    if asked.inputs.len().max(outputs.len()) > TENSORS_MAX {
        return Err(Problem::invalid("body", format!("has more than {TENSORS_MAX} tensors")));
    }
    let inputs = asked.inputs.iter().map(|input| input.read(&mut raw)).collect::<HttpResult<_>>()?;
    if !raw.is_empty() {
        return Err(Problem::invalid("body", format!("has {} bytes that belong to no input", raw.len())));
    }
    let parameters = asked.parameters.unwrap_or_default();
    let flag = |of: &Map<String, Value>, name: &str| of.get(name).and_then(Value::as_bool);
    let named = outputs.iter().filter_map(|output| {
        let wish = output.parameters.as_ref().and_then(|of| flag(of, "binary_data"))?;
        Some((output.name.clone(), wish))
    });
    let binary = Binary {
        by_default: flag(&parameters, "binary_data_output").unwrap_or(false),
        named: named.collect(),
    };
    let question = Question {
        id: asked.id.unwrap_or_default(),
        priority: whole(&parameters, "priority")?.unwrap_or(0),
        timeout: whole(&parameters, "timeout")?.filter(|&micros| micros > 0).map(Duration::from_micros),
        inputs,
        wanted: outputs.into_iter().map(|output| output.name).collect(),
        ..Question::default()
    };
    Ok(Asked { question, binary })
}

fn whole(parameters: &Map<String, Value>, name: &str) -> HttpResult<Option<u64>> {
    match parameters.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .map(Some)
            .ok_or_else(|| Problem::invalid(format!("parameters.{name}"), "is not a whole number from 0")),
    }
}

impl InputBody {
    /// Reads the values, from JSON or from the front of the raw bytes.
    fn read(&self, raw: &mut &[u8]) -> HttpResult<Tensor> {
        let name = &self.name;
        let parameters = self.parameters.clone().unwrap_or_default();
        let data = match (whole(&parameters, "binary_data_size")?, &self.data) {
            (Some(_), Some(_)) => {
                return Err(Problem::invalid(
                    "body",
                    format!("input `{name}` has both `data` and raw bytes: send one"),
                ));
            }
            (None, None) => {
                return Err(Problem::invalid(
                    "body",
                    format!("input `{name}` has no `data` and no `binary_data_size`"),
                ));
            }
            (None, Some(json)) => Data::from_json(name, &self.datatype, json)?,
            (Some(size), None) => {
                let taken = usize::try_from(size).ok().and_then(|size| raw.split_at_checked(size));
                let Some((bytes, rest)) = taken else {
                    let detail = format!("input `{name}` promises {size} raw bytes, {} are left", raw.len());
                    return Err(Problem::invalid("body", detail));
                };
                *raw = rest;
                Data::from_raw(name, &self.datatype, bytes)?
            }
        };
        Ok(Tensor::new(name, &self.shape, data)?)
    }
}

/// A body that is one raw tensor: the features of a version, in single precision.
///
/// # Errors
/// 400 for a model with more than one input, and for bytes that make no whole rows.
pub fn one_raw_input(model: &Model, body: &Bytes) -> HttpResult<Asked> {
    let Model::Rows { signature, .. } = model else {
        return Err(Problem::invalid(
            "Inference-Header-Content-Length",
            "0 is for models with one input: send JSON",
        ));
    };
    let columns = signature.features.len().max(1);
    let data = Data::from_raw("features", "FP32", body)?;
    let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let shape = [whole(data.len() / columns), whole(columns)];
    let inputs = vec![Tensor::new("features", &shape, data)?];
    let binary = Binary { by_default: true, ..Binary::default() };
    Ok(Asked { question: Question { inputs, ..Question::default() }, binary })
}

/// Writes an answer: JSON, and after it the outputs that go as raw bytes.
///
/// # Errors
/// 500 when it cannot be written as JSON.
pub fn write(answer: &Reply, binary: &Binary) -> HttpResult {
    let mut raw = Vec::new();
    let outputs: Vec<Value> = answer
        .outputs
        .iter()
        .map(|output| {
            let mut told =
                json!({"name": output.name, "datatype": output.data.datatype(), "shape": output.extents()});
            if binary.wants(&output.name) {
                let bytes = output.data.to_raw();
                told["parameters"] = json!({"binary_data_size": bytes.len()});
                raw.push(bytes);
            } else {
                told["data"] = output.data.to_json();
            }
            told
        })
        .collect();
    let parameters: Map<String, Value> = answer
        .parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
        .collect();
    let mut document = json!({
        "model_name": answer.model,
        "model_version": answer.version,
        "parameters": parameters,
        "outputs": outputs,
    });
    if !answer.id.is_empty() {
        document["id"] = Value::from(answer.id.as_str());
    }
    if raw.is_empty() {
        return reply::json(&document);
    }
    let mut body = serde_json::to_vec(&document)
        .map_err(|error| Error::internal(format!("the answer could not be written as JSON: {error}")))?;
    let header = HeaderValue::from(body.len());
    raw.iter().for_each(|bytes| body.extend_from_slice(bytes));
    let octets = HeaderValue::from_static("application/octet-stream");
    let no_store = HeaderValue::from_static("no-store");
    Ok(([(HEADER_LENGTH, header), (CONTENT_TYPE, octets), (CACHE_CONTROL, no_store)], body).into_response())
}
