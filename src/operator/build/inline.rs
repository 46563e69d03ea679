//! Secrets that stand in a document as plain text, as those of `OpenFunction` do, and logins in addresses: each goes
//! into a Secret that belongs to the same object, and the Component refers to that.

use serde_json::{Value as Json, json};

use crate::api::{SecretKeyRef, SecretSource, SecretValue};
use crate::layout::{self, Component, Setting};
use crate::operator::child::{Child, Owner, SHARED};
use crate::operator::names;
use crate::operator::resource::{Resource, SECRET};

/// Moves what is secret of one Component.
pub struct Inline<'a> {
    owner: &'a Owner,
    workload: &'a str,
    /// The Component's name.
    component: &'a str,
    /// The Secrets.
    pub children: Vec<Child>,
}

impl<'a> Inline<'a> {
    pub fn new(owner: &'a Owner, workload: &'a str, component: &'a str) -> Self {
        Self { owner, workload, component, children: Vec::new() }
    }

    /// What stands in the Component in the place of a secret. One that is in the cluster stays where it is.
    ///
    /// # Errors
    /// When it is nowhere in the cluster and cannot be put there.
    pub fn setting(&mut self, key: &str, written: Json) -> Result<Setting, String> {
        let value: SecretValue = serde_json::from_value(written).map_err(|error| error.to_string())?;
        match value {
            SecretValue::From(SecretSource { secret_key_ref: Some(reference), .. }) => Ok(Setting::Key(reference)),
            SecretValue::From(_) => Err("env and file are for one machine: in a cluster, use secretKeyRef".to_owned()),
            SecretValue::Plain(text) => self.moved(key, text),
            SecretValue::Malformed(_) => Err("expected {secretKeyRef: {name, key}}".to_owned()),
        }
    }

    /// Moves the addresses that have a login; their keys.
    ///
    /// # Errors
    /// As [`Inline::setting`].
    pub fn take_logins(&mut self, component: &mut Component) -> Result<Vec<String>, String> {
        let mut moved = Vec::new();
        for (key, setting) in &mut component.metadata {
            if let Setting::Value(text) = setting
                && layout::holds_login(text)
            {
                *setting = self.moved(key, std::mem::take(text)).map_err(|why| format!("{key}: {why}"))?;
                moved.push(key.clone());
            }
        }
        Ok(moved)
    }

    /// The Secret's name says what is in it: nobody has to read it to know whether it is right, and it never changes.
    fn moved(&mut self, key: &str, value: String) -> Result<Setting, String> {
        let value = layout::untouched(value)?;
        if self.owner.kind == SHARED {
            return Err("a secret as plain text has no owner behind a shared router: use secretKeyRef".to_owned());
        }
        let uid = self.owner.objects.first().map_or("", |(_, _, uid)| uid);
        let name = format!("{}-{:016x}", self.component, names::digest(format!("{uid}\n{key}\n{value}").as_bytes()));
        let body = json!({"type": "Opaque", "immutable": true, "stringData": {key: value}});
        self.children.push(Child::new(Resource::of(SECRET), &name, self.owner, self.workload, body));
        Ok(Setting::Key(SecretKeyRef { name, key: key.to_owned() }))
    }
}
