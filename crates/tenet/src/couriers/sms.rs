//! A text message by a gateway that takes an HTTP request: a form with two fields, or a JSON document with placeholders.

use reqwest::{Url, header};
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use watch::{CarryFuture, Courier, Notice};

use super::http;
use crate::{config::RouteConfig, sinks::headers};

pub(super) struct Sms {
    route: String,
    url: Url,
    headers: header::HeaderMap,
    to: String,
    form: Form,
    http: reqwest::Client,
}

enum Form {
    /// The names of two fields.
    Fields { to: String, text: String },
    /// A document in which placeholders stand.
    Template(Value),
}

impl Sms {
    /// Its file holds the gateway's address, then headers, one a line.
    pub(super) fn new(
        route: &RouteConfig,
        lines: &[String],
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, String> {
        let mut lines = lines.iter();
        let url = http::address(lines.next())?;
        let headers = headers(lines).map_err(str::to_owned)?;
        let named = |name: &str, default: &str| if name.is_empty() { default } else { name }.to_owned();
        let form = if route.template.is_empty() {
            Form::Fields { to: named(&route.to_field, "to"), text: named(&route.text_field, "text") }
        } else {
            Form::Template(serde_json::from_str(&route.template).map_err(|error| error.to_string())?)
        };
        let to = route.to.first().cloned().unwrap_or_default();
        let http = http::client(authorities)?;
        Ok(Self { route: route.name.clone(), url, headers, to, form, http })
    }
}

/// The template with values for what stands in it. A value is not looked at for placeholders again.
fn filled(template: &Value, values: &[(&str, &str); 3]) -> Value {
    match template {
        Value::String(text) => {
            let mut whole = String::new();
            let mut rest = text.as_str();
            while let Some(at) = rest.find('{') {
                let (before, from) = rest.split_at(at);
                whole.push_str(before);
                let found = values.iter().find_map(|(name, value)| Some((value, from.strip_prefix(name)?)));
                match found {
                    Some((value, after)) => {
                        whole.push_str(value);
                        rest = after;
                    }
                    None => {
                        whole.push('{');
                        rest = from.get(1..).unwrap_or_default();
                    }
                }
            }
            whole.push_str(rest);
            Value::String(whole)
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| filled(item, values)).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, item)| (name.clone(), filled(item, values))).collect())
        }
        other => other.clone(),
    }
}

impl Courier for Sms {
    fn route(&self) -> &str {
        &self.route
    }
    fn carry<'a>(&'a self, notice: &'a Notice) -> CarryFuture<'a> {
        let text = notice.short();
        let call = self.http.post(self.url.clone()).headers(self.headers.clone());
        let call = match &self.form {
            Form::Fields { to, text: field } => {
                let mut body = Url::clone(&self.url);
                body.set_query(None);
                let pairs = [(to.as_str(), self.to.as_str()), (field.as_str(), text.as_str())];
                let encoded = body.query_pairs_mut().extend_pairs(pairs).finish().query();
                let encoded = encoded.unwrap_or_default().to_owned();
                call.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(encoded)
            }
            Form::Template(template) => {
                let id = notice.message.to_string();
                call.json(&filled(template, &[("{to}", &self.to), ("{text}", &text), ("{id}", &id)]))
            }
        };
        Box::pin(http::send(call))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn placeholders_are_filled_once() {
        let template = json!({"to": ["{to}"], "body": {"t": "Alarm: {text}!"}, "n": 1, "k": "{id}"});
        let values = [("{to}", "+49"), ("{text}", "a \"{to}\" b"), ("{id}", "msg_1")];
        assert_eq!(
            filled(&template, &values),
            json!({"to": ["+49"], "body": {"t": "Alarm: a \"{to}\" b!"}, "n": 1, "k": "msg_1"})
        );
    }
}
