//! The JSON shape of a leaf, read without copying, and the checks that its parts agree. What a field
//! means stands in `event.rs`, which writes it.

use std::{borrow::Cow, fmt, ops::Deref};

use base::Timestamp;
use serde::{Deserialize, Deserializer, de};

use crate::{
    Activity, DetailValue, EventError, Interface, OCSF_VERSION,
    event::{CLOCK_DOUBTFUL, FORMAT_VERSION},
};

/// Text that is borrowed from the leaf unless it holds escapes.
#[derive(Deserialize, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

/// A struct of the leaf: every name known, none twice.
macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Deserialize, Debug)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name<'a> {
            $(#[serde(borrow)] $(#[$attribute])* pub(crate) $field: $type,)*
        }
    )*};
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leaf<'a> {
    activity_id: u8,
    #[serde(borrow)]
    activity_name: Text<'a>,
    category_uid: u32,
    pub(crate) class_uid: u32,
    class_name: Text<'a>,
    type_uid: u32,
    pub(crate) severity_id: u8,
    time: i64,
    #[serde(deserialize_with = "instant")]
    pub(crate) time_dt: Timestamp,
    pub(crate) metadata: Metadata<'a>,
    pub(crate) actor: Subject<'a>,
    pub(crate) device: Device<'a>,
    pub(crate) src_endpoint: Option<Uid<'a>>,
    dst_endpoint: Option<Uid<'a>>,
    api: Option<Api<'a>>,
    resources: Option<[Object<'a>; 1]>,
    entity: Option<Object<'a>>,
    finding_info: Option<Finding<'a>>,
    is_alert: Option<bool>,
    user: Option<User<'a>>,
    service: Option<Named<'a>>,
    app: Option<App<'a>>,
    pub(crate) status_id: u8,
    status: Text<'a>,
    pub(crate) status_code: Option<Text<'a>>,
    pub(crate) action_id: u8,
    action: Text<'a>,
    pub(crate) unmapped: Unmapped<'a>,
}

shapes! {
    Metadata {
        uid: Text<'a>,
        event_code: Text<'a>,
        version: Text<'a>,
        log_version: Text<'a>,
        product: Product<'a>,
        profiles: [Text<'a>; 3],
        correlation_uid: Text<'a>,
        tenant_uid: Option<Text<'a>>,
    }
    Product {
        name: Text<'a>,
        vendor_name: Text<'a>,
        version: Text<'a>,
        feature: Named<'a>,
    }
    Named { name: Text<'a>, }
    Subject {
        user: User<'a>,
        authorizations: Option<Vec<Authorization<'a>>>,
    }
    Authorization {
        decision: Text<'a>,
        policy: Uid<'a>,
    }
    Uid { uid: Text<'a>, }
    Api { operation: Text<'a>, }
    Finding {
        title: Text<'a>,
        uid: Text<'a>,
    }
    App {
        name: Text<'a>,
        vendor_name: Text<'a>,
    }
    Object {
        #[serde(rename = "type")]
        kind: Text<'a>,
        uid: Text<'a>,
        data: Option<ObjectData<'a>>,
    }
    ObjectData {
        account: Option<Text<'a>>,
        repository: Option<Text<'a>>,
        classification: Option<Text<'a>>,
    }
    Key {
        uid: Text<'a>,
        purpose: Text<'a>,
    }
}

#[derive(Deserialize, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct User<'a> {
    #[serde(borrow)]
    pub(crate) uid: Text<'a>,
    type_id: u8,
    #[serde(rename = "type")]
    kind: Text<'a>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Device<'a> {
    #[serde(borrow)]
    pub(crate) uid: Text<'a>,
    type_id: u8,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unmapped<'a> {
    #[serde(borrow)]
    pub(crate) interface: Text<'a>,
    pub(crate) clock: Option<Text<'a>>,
    object: Option<Object<'a>>,
    pub(crate) before: Option<Text<'a>>,
    pub(crate) after: Option<Text<'a>>,
    pub(crate) key: Option<Key<'a>>,
    pub(crate) clause: Option<Text<'a>>,
    #[serde(default)]
    pub(crate) detail: Details<'a>,
    #[serde(default, rename = "detail_omitted")]
    _detail_omitted: Option<u32>,
}

/// Details in their order.
#[derive(Debug, Default)]
pub(crate) struct Details<'a>(Vec<(Text<'a>, Detail<'a>)>);

#[derive(Debug)]
enum Detail<'a> {
    Flag(bool),
    Number(i64),
    Text(Text<'a>),
}

impl Details<'_> {
    /// The details, copied out of the leaf.
    pub(crate) fn into_values(self) -> Vec<(String, DetailValue)> {
        let owned = |value| match value {
            Detail::Flag(value) => DetailValue::Flag(value),
            Detail::Number(value) => DetailValue::Number(value),
            Detail::Text(value) => DetailValue::Text(value.0.into_owned()),
        };
        self.0.into_iter().map(|(name, value)| (name.0.into_owned(), owned(value))).collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Details<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Vec<(Text<'de>, Detail<'de>)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("details")
            }
            fn visit_map<M: de::MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut details: Self::Value = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, Detail<'de>>()? {
                    let known = details.iter().any(|(known, _)| *known == name);
                    if known || details.len() >= crate::MAX_DETAILS {
                        return Err(de::Error::custom("a detail twice, or too many details"));
                    }
                    details.push((name, value));
                }
                Ok(details)
            }
        }
        deserializer.deserialize_map(Visitor).map(Details)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Detail<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Detail<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, a whole number or a text")
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Detail<'de>, E> {
                Ok(Detail::Flag(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Detail<'de>, E> {
                Ok(Detail::Number(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Detail<'de>, E> {
                i64::try_from(value).map(Detail::Number).map_err(E::custom)
            }
            fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Detail<'de>, E> {
                Ok(Detail::Text(Text(Cow::Borrowed(value))))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Detail<'de>, E> {
                Ok(Detail::Text(Text(Cow::Owned(value.to_owned()))))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    Text::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

impl Metadata<'_> {
    fn is_ours(&self) -> bool {
        let profiles = self.profiles.iter().map(|profile| &**profile);
        *self.log_version == *FORMAT_VERSION
            && *self.version == *OCSF_VERSION
            && &*self.product.name == "Tenet"
            && &*self.product.vendor_name == "Tenet"
            && profiles.eq(["host", "datetime", "security_control"])
    }
}

impl<'a> Leaf<'a> {
    /// Whether the parts agree with one another and with the catalogue, and every id is one.
    pub(crate) fn check(&self) -> Result<(), EventError> {
        let wrong = if !self.metadata.is_ours() {
            "it is not Tenet's, or its format is of another version"
        } else if !self.classified() {
            "its class, type or activity contradict one another"
        } else if self.time_dt.micros().div_euclid(1_000) != self.time {
            "`time` and `time_dt` differ"
        } else if !self.attributed() {
            "it has an id that is none"
        } else if self.object().is_none() || !self.fits_class() {
            "it lacks what its class requires, or has what it does not"
        } else if !self.decided() {
            "its outcome contradicts itself"
        } else if self.unmapped.clock.as_deref().is_some_and(|clock| clock != CLOCK_DOUBTFUL) {
            "what it says of its clock is unknown"
        } else if Interface::from_word(&self.unmapped.interface).is_none() {
            "its interface is unknown"
        } else {
            return Ok(());
        };
        Err(EventError::Contradiction(wrong))
    }

    /// The object, wherever its class has it; none unless it is in exactly one place.
    pub(crate) fn object(&self) -> Option<&Object<'a>> {
        match (&self.resources, &self.entity, &self.unmapped.object) {
            (Some([object]), None, None) | (None, Some(object), None) | (None, None, Some(object)) => {
                Some(object)
            }
            _ => None,
        }
    }

    fn classified(&self) -> bool {
        let numbers = self.type_uid.checked_sub(u32::from(self.activity_id))
            == self.class_uid.checked_mul(100)
            && self.category_uid == self.class_uid / 1_000
            && (1..=5).contains(&self.severity_id);
        // A later version may know activities that this one does not; those that it knows never change.
        let known = Activity::from_name(&self.metadata.event_code).is_none_or(|activity| {
            activity.class_uid() == self.class_uid
                && activity.activity_id() == self.activity_id
                && activity.activity_name() == &*self.activity_name
                && activity.class_name() == &*self.class_name
        });
        numbers && known
    }

    /// Whether what OCSF asks of the class is there and repeats what stands elsewhere.
    fn fits_class(&self) -> bool {
        let code = &self.metadata.event_code;
        let api = self.api.as_ref().map(|api| api.operation == *code);
        let found = self.finding_info.as_ref().map(|it| it.title == *code && it.uid == self.metadata.uid);
        let user = self.user.as_ref().map(|user| *user == self.actor.user);
        let service = self.service.as_ref().map(|it| it.name == self.metadata.product.feature.name);
        let app = self.app.as_ref().map(|app| &*app.name == "Tenet" && &*app.vendor_name == "Tenet");
        let target = self.dst_endpoint.as_ref().map(|it| it.uid == self.device.uid);
        let is = |class: u32| (self.class_uid == class).then_some(true);
        api == is(6003)
            && found == is(2004)
            && self.is_alert == is(2004)
            && user == is(3002)
            && service == is(3002)
            && app == is(6002)
            && target == is(4001)
            && self.resources.is_some() == matches!(self.class_uid, 2004 | 6003)
            && self.entity.is_some() == (self.class_uid == 3004)
            && (self.class_uid != 6003 || self.src_endpoint.is_some())
    }

    fn attributed(&self) -> bool {
        let actor = |user: &User<'_>| match (&*user.kind, user.type_id) {
            ("client", 99) => is_id(&user.uid, "cli_"),
            ("operator", 2) => is_id(&user.uid, "opr_"),
            ("system", 3) => is_id(&user.uid, "srv_"),
            ("anonymous", 0) => &*user.uid == "anonymous",
            _ => false,
        };
        let data = self.object().and_then(|object| object.data.as_ref());
        let account = data.and_then(|data| data.account.as_deref());
        let repository = data.and_then(|data| data.repository.as_deref());
        let source = self.src_endpoint.as_ref().map(|source| &*source.uid);
        is_id(&self.metadata.uid, "evt_")
            && is_id(&self.metadata.correlation_uid, "req_")
            && is_id(&self.device.uid, "srv_")
            && self.device.type_id == 1
            && actor(&self.actor.user)
            && self.metadata.tenant_uid.as_deref().is_none_or(|text| is_id(text, "acc_"))
            && account.is_none_or(|text| is_id(text, "acc_"))
            && repository.is_none_or(|text| is_id(text, "rep_"))
            && source.is_none_or(|text| text == &*self.device.uid || is_commitment(text))
            && self.unmapped.before.as_deref().is_none_or(is_commitment)
            && self.unmapped.after.as_deref().is_none_or(is_commitment)
    }

    fn decided(&self) -> bool {
        let words = (&*self.status, &*self.action);
        let reason = self.status_code.is_some();
        let coherent = match (self.status_id, self.action_id) {
            (1, 1) => words == ("Success", "Allowed") && !reason,
            (2, 1) => words == ("Failure", "Allowed") && reason,
            (2, 2) => words == ("Failure", "Denied") && reason,
            _ => false,
        };
        let policies = self.actor.authorizations.iter().flatten();
        coherent
            && (self.unmapped.clause.is_none() || self.action_id == 2)
            && policies.map(|one| &one.decision).all(|decision| *decision == self.action)
    }
}

/// Whether `text` is an id with that prefix. The same as parsing it, and quicker.
fn is_id(text: &str, prefix: &str) -> bool {
    let Some(body) = text.strip_prefix(prefix) else { return false };
    let letter = |byte: u8| {
        byte.is_ascii_digit() || (byte.is_ascii_lowercase() && !matches!(byte, b'i' | b'l' | b'o' | b'u'))
    };
    body.len() == 26
        && body.bytes().all(letter)
        && body.as_bytes().first().is_some_and(|first| *first <= b'7')
}

fn is_commitment(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
