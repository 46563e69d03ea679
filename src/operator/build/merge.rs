//! Overrides of a pod template, merged as Kubernetes merges them: mappings member by member, lists of things with
//! names by these names, other lists as a whole; null takes away.

use serde_json::Value as Json;

/// The member that tells the elements of a list apart, by the name of the list.
const KEYS: [(&str, &str); 8] = [
    ("volumeMounts", "mountPath"),
    ("ports", "containerPort"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
    ("containers", "name"),
    ("initContainers", "name"),
    ("volumes", "name"),
    ("env", "name"),
];

/// Merges `over` into `base`.
pub fn merge(base: &mut Json, over: &Json) {
    let (Json::Object(base), Json::Object(over)) = (&mut *base, over) else {
        *base = over.clone();
        return;
    };
    for (name, over) in over {
        let key = KEYS.iter().find(|(list, _)| list == name).map(|(_, key)| *key);
        match (base.get_mut(name), over, key) {
            (_, Json::Null, _) => drop(base.remove(name)),
            (Some(Json::Array(base)), Json::Array(over), Some(key)) => merge_by(key, base, over),
            (Some(base), _, _) => merge(base, over),
            (None, _, _) => drop(base.insert(name.clone(), over.clone())),
        }
    }
}

fn merge_by(key: &str, base: &mut Vec<Json>, over: &[Json]) {
    for over in over {
        match base.iter_mut().find(|base| base[key] == over[key]) {
            Some(base) => merge(base, over),
            None => base.push(over.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn overrides_are_merged_by_name() {
        let mut base = json!({"spec": {"containers": [{"name": "penstock", "args": ["a"], "env": [{"name": "A", "value": "1"}]}]}});
        let over = json!({"spec": {"nodeSelector": {"x": "y"}, "containers": [
            {"name": "penstock", "args": ["b"], "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]},
            {"name": "other", "image": "x"},
        ]}});
        merge(&mut base, &over);
        let expected = json!({"spec": {"nodeSelector": {"x": "y"}, "containers": [
            {"name": "penstock", "args": ["b"], "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]},
            {"name": "other", "image": "x"},
        ]}});
        assert_eq!(base, expected);
        merge(&mut base, &json!({"spec": {"nodeSelector": null}}));
        assert!(base["spec"]["nodeSelector"].is_null());
    }
}
