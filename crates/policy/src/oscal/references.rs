//! Whether models fit together, which no schema says: that no name is given twice, and that what is referred to is there, in the
//! model itself or in one that it imports.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

/// What a reference may name: the lists whose members have that uuid. One that is not here may name anything.
const NAMES: &[(&str, &[&str])] = &[
    ("activity-uuid", &["activities"]),
    ("component-uuid", &["components"]),
    ("finding-uuid", &["findings"]),
    ("implementation-statement-uuid", &["by-components", "statements", "implemented-requirements"]),
    ("location-uuid", &["locations"]),
    ("location-uuids", &["locations"]),
    ("observation-uuid", &["observations"]),
    ("party-uuid", &[PARTIES]),
    ("party-uuids", &[PARTIES]),
    ("provided-uuid", &["provided"]),
    ("response-uuid", &["remediations"]),
    ("responsibility-uuid", &["responsibilities"]),
    ("risk-uuid", &["risks"]),
    ("subject-placeholder-uuid", &["subject-placeholders"]),
    ("task-uuid", &["tasks"]),
];
/// What an actor or a subject may be, by its type.
const TYPES: &[(&str, &[&str])] = &[
    ("tool", &["components"]),
    ("assessment-platform", &["assessment-platforms"]),
    ("party", &[PARTIES]),
    ("component", &["components"]),
    ("inventory-item", &["inventory-items"]),
    ("location", &["locations"]),
    ("user", &["users"]),
    ("resource", &[RESOURCES]),
];
/// Those stand in the head of each model: another's are not seen.
const PARTIES: &str = "parties";
const RESOURCES: &str = "resources";
/// The lists whose members' `id` is what others name them by; elsewhere it is somebody else's word.
const IDENTIFIED: &[&str] = &["controls", "groups", "params", "parts", "roles"];
/// The members whose `href` is a model's that this one builds on.
const IMPORTS: &[&str] =
    &["imports", "import-profile", "import-ssp", "import-ap", "import-component-definitions"];

/// Everything that is wrong with models, given with the names of their files; nothing if they fit together.
pub fn oscal_references(models: &[(&str, Json)]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    let mut read = Vec::new();
    for (name, json) in models {
        if !names.insert(*name) {
            faults.push(format!("{name}: there are two of that name"));
        }
        let mut model = Model { name, ..Model::default() };
        model.walk(&Place { path: String::new(), list: "", inside: "" }, json);
        faults.append(&mut model.faults);
        read.push(model);
    }
    for model in &read {
        check(model, &read, &mut faults);
    }
    two_things(&read, &mut faults);
    faults
}

/// A uuid is of one thing, in whatever models that is told of.
fn two_things<'a>(all: &'a [Model<'a>], faults: &mut Vec<String>) {
    let mut known: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for model in all {
        for (uuid, list) in &model.uuids {
            let (first, name) = *known.entry(uuid).or_insert((list, model.name));
            if first != *list {
                faults
                    .push(format!("{}: `{uuid}` is one of {list}, and in {name} one of {first}", model.name));
            }
        }
    }
}

/// Where in a model something stands.
struct Place<'a> {
    /// Its JSON pointer.
    path: String,
    /// The list or member that it is in, and what that is in.
    list: &'a str,
    inside: &'a str,
}

/// Something that a model refers to.
struct Reference<'a> {
    path: String,
    key: &'a str,
    named: &'a str,
    /// The lists that it may be in; empty: any.
    lists: &'static [&'static str],
}

#[derive(Default)]
struct Model<'a> {
    name: &'a str,
    /// Each uuid, with the list that it is in.
    uuids: BTreeMap<&'a str, &'a str>,
    /// Each id, with the list that it is in.
    ids: BTreeMap<&'a str, &'a str>,
    /// What is referred to by uuid.
    references: Vec<Reference<'a>>,
    /// What is referred to of a catalog, and of roles.
    named: Vec<Reference<'a>>,
    /// Where it imports from, and where it links to.
    hrefs: Vec<(bool, String, &'a str)>,
    /// The links of each resource.
    resources: BTreeMap<&'a str, Vec<&'a str>>,
    /// The controls that it chooses, of a profile.
    chosen: BTreeSet<&'a str>,
    /// Whether it chooses all of what it imports.
    chooses_all: bool,
    is_profile: bool,
    faults: Vec<String>,
}

impl<'a> Model<'a> {
    fn walk(&mut self, place: &Place<'a>, value: &'a Json) {
        match value {
            Json::Object(map) => {
                self.is_profile |= place.path.is_empty() && map.contains_key("profile");
                self.object(place, map);
                for (key, value) in map {
                    let path = format!("{}/{key}", place.path);
                    self.walk(&Place { path, list: key, inside: place.list }, value);
                }
            }
            Json::Array(all) => {
                for (at, value) in all.iter().enumerate() {
                    let path = format!("{}/{at}", place.path);
                    self.walk(&Place { path, list: place.list, inside: place.inside }, value);
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, place: &Place<'a>, map: &'a serde_json::Map<String, Json>) {
        let text = |key: &str| map.get(key).and_then(Json::as_str);
        if let Some(uuid) = text("uuid") {
            self.declare(place, "uuid", uuid);
            if place.list == RESOURCES {
                let links = map.get("rlinks").and_then(Json::as_array).into_iter().flatten();
                let links = links.filter_map(|one| one.get("href")?.as_str()).collect();
                self.resources.insert(uuid, links);
            }
        }
        if let Some(id) = text("id").filter(|_| IDENTIFIED.contains(&place.list)) {
            self.declare(place, "id", id);
        }
        if let Some(href) = text("href") {
            self.hrefs.push((IMPORTS.contains(&place.list), place.path.clone(), href));
        }
        if let Some(source) = text("source").filter(|_| place.list == "control-implementations") {
            self.hrefs.push((true, place.path.clone(), source));
        }
        if self.is_profile && place.list == "imports" {
            self.chooses_all |= map.contains_key("include-all") || !map.contains_key("include-controls");
        }
        for (key, value) in map {
            let of_list = value.as_array().into_iter().flatten().filter_map(Json::as_str);
            let named: Vec<&str> = value.as_str().into_iter().chain(of_list).collect();
            self.refer(place, key, &named, text("type"));
        }
    }

    fn declare(&mut self, place: &Place<'a>, what: &str, name: &'a str) {
        let known = if what == "uuid" { &mut self.uuids } else { &mut self.ids };
        if known.insert(name, place.list).is_some() {
            self.faults.push(format!("{}: {}/{what}: `{name}` stands twice", self.name, place.path));
        }
    }

    fn refer(&mut self, place: &Place<'a>, key: &'a str, named: &[&'a str], kind: Option<&str>) {
        let path = || format!("{}/{key}", place.path);
        let all = |lists: &'static [&'static str]| {
            named.iter().map(move |named| Reference { path: path(), key, named, lists })
        };
        match key {
            "control-id" | "with-ids" => {
                if key == "with-ids" && place.inside == "imports" {
                    self.chosen.extend(named);
                }
                self.named.extend(all(&["controls"]));
            }
            "statement-id" | "statement-ids" => self.named.extend(all(&["parts"])),
            "target-id" if kind == Some("statement-id") => self.named.extend(all(&["parts"])),
            "param-id" => self.named.extend(all(&["params"])),
            "role-id" | "role-ids" => self.named.extend(all(&["roles"])),
            "actor-uuid" | "subject-uuid" => {
                let of_type = TYPES.iter().find(|(name, _)| kind == Some(name));
                self.references.extend(all(of_type.map_or(&[], |(_, lists)| *lists)));
            }
            _ if key.ends_with("-uuid") || key.ends_with("-uuids") => {
                let of_key = NAMES.iter().find(|(name, _)| *name == key);
                self.references.extend(all(of_key.map_or(&[], |(_, lists)| *lists)));
            }
            _ => {}
        }
    }

    /// The names of the files that an import leads to: by a resource of this model, or by itself.
    fn files(&self, href: &'a str) -> Vec<&'a str> {
        match href.strip_prefix('#') {
            Some(resource) => {
                let links = self.resources.get(resource).into_iter().flatten();
                links.copied().filter(|one| !is_absolute(one)).map(file).collect()
            }
            None => vec![file(href)],
        }
    }
}

/// The part of a link before its fragment.
fn file(href: &str) -> &str {
    href.split('#').next().unwrap_or(href)
}

/// Whether a link has a scheme, so that it leads out of the set.
fn is_absolute(href: &str) -> bool {
    href.split_once(':').is_some_and(|(scheme, _)| !scheme.is_empty() && !scheme.contains(['/', '#', '?']))
}

/// What a model sees: itself, and what it imports, and so on.
fn seen<'m, 'a>(model: &'m Model<'a>, all: &'m [Model<'a>]) -> Vec<&'m Model<'a>> {
    let mut seen = vec![model];
    let mut next = 0;
    while let Some(one) = seen.get(next).copied() {
        next += 1;
        let imports = one.hrefs.iter().filter(|(is_import, ..)| *is_import);
        for name in imports.flat_map(|(_, _, href)| one.files(href)) {
            let is_new = seen.iter().all(|known| known.name != name);
            seen.extend(all.iter().find(|other| other.name == name && is_new));
        }
    }
    seen
}

fn check(model: &Model<'_>, all: &[Model<'_>], faults: &mut Vec<String>) {
    let mut fault = |path: &str, why: String| faults.push(format!("{}: {path}: {why}", model.name));
    let is_file = |name: &str| all.iter().any(|one| one.name == name);
    for (is_import, path, href) in &model.hrefs {
        let named = href.strip_prefix('#');
        let is_there = match named {
            Some(named) => model.uuids.contains_key(named) || model.ids.contains_key(named),
            None => is_file(file(href)) || (!is_import && is_absolute(href)),
        };
        if !is_there {
            fault(path, format!("href `{href}` names nothing of the set"));
        } else if *is_import && !model.files(href).into_iter().any(is_file) {
            fault(path, format!("href `{href}` leads to no file of the set"));
        }
    }
    let seen = seen(model, all);
    for one in &model.references {
        let is_it = |other: &Model<'_>| {
            let list = other.uuids.get(one.named);
            let is_local = one.lists.contains(&PARTIES) || one.lists.contains(&RESOURCES);
            list.is_some_and(|list| one.lists.is_empty() || one.lists.contains(list))
                && (!is_local || other.name == model.name)
        };
        if !seen.iter().any(|other| is_it(other)) {
            fault(&one.path, format!("{} `{}` names nothing", one.key, one.named));
        }
    }
    // What is over a profile has the controls that the profile chooses.
    let profiles: Vec<_> = seen.iter().skip(1).filter(|one| one.is_profile && !one.chooses_all).collect();
    for one in &model.named {
        let is_it = |other: &&&Model<'_>| {
            other.ids.get(one.named).is_some_and(|list| one.lists.contains(list))
                && (!one.lists.contains(&"roles") || other.name == model.name)
        };
        let is_chosen = !one.lists.contains(&"controls")
            || profiles.is_empty()
            || profiles.iter().any(|profile| profile.chosen.contains(one.named));
        if !seen.iter().any(|other| is_it(&other)) {
            fault(&one.path, format!("{} `{}` is not in the catalog", one.key, one.named));
        } else if !is_chosen {
            fault(&one.path, format!("{} `{}` is not in the profile", one.key, one.named));
        }
    }
}
