//! Who: a name, with the id that it stands for beside it. Where no name is known, the id alone.

use access::{AccessError, Names};
use askama::Template;

use super::visitor::Visitor;
use crate::App;

/// Somebody or something with a name, or the bare id of it.
#[derive(Clone, Debug, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = r#"{% if let Some(name) = name %}<span class="named">{{ name }} <span class="quiet mono">{{ id }}</span></span>{% else %}<span class="mono">{{ id }}</span>{% endif %}"#
)]
pub(crate) struct Who {
    id: String,
    name: Option<String>,
}

// Its own template escapes what stands in it.
impl askama::filters::HtmlSafe for Who {}

impl Who {
    /// With the name that is known of it.
    pub(crate) fn new(names: &Names, id: impl Into<String>) -> Self {
        let id = id.into();
        let name = names.of(&id).map(str::to_owned);
        Self { id, name }
    }
}

impl Visitor {
    /// The names of what a page shows: asked for once.
    pub(crate) async fn names<'a>(
        &self,
        app: &App,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<Names, AccessError> {
        app.access().names(&self.principal, ids).await
    }

    /// Whether their role lets them do it: for what a page offers.
    pub(crate) fn may(&self, app: &App, action: access::Action) -> bool {
        app.access().may(&self.principal, action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_whatever_it_is() {
        let who = |name: Option<&str>| Who { id: "opr_1".into(), name: name.map(str::to_owned) };
        assert_eq!(who(None).to_string(), "<span class=\"mono\">opr_1</span>");
        let shown = who(Some("<b>")).to_string();
        assert!(shown.contains("opr_1") && !shown.contains("<b>"), "{shown}");
    }
}
