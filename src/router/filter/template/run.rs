//! A run of a template.

use std::borrow::Cow;

use super::functions::Call;
use super::parse::{Base, Command, Node, Operand, Pipe};
use super::value::{Meter, Value};
use super::{Halt, Input};

pub(super) fn render(nodes: &[Node], input: Input<'_>) -> Result<String, Halt> {
    let input = match input {
        Input::Text(text) => Value::Text(Cow::Borrowed(text)),
        Input::Json(raw) => Value::of_json(Cow::Borrowed(raw)),
    };
    let root = Value::map(vec![("Input".to_owned(), input)])?;
    let mut run = Run { root: root.clone(), variables: Vec::new(), out: String::new(), meter: Meter::default() };
    run.list(nodes, &root)?;
    Ok(run.out)
}

/// Where a list goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Run<'a> {
    root: Value<'a>,
    variables: Vec<(&'a str, Value<'a>)>,
    out: String,
    meter: Meter,
}

impl<'a> Run<'a> {
    fn list(&mut self, nodes: &'a [Node], dot: &Value<'a>) -> Result<Flow, Halt> {
        let known = self.variables.len();
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::On {
                self.variables.truncate(known);
                return Ok(flow);
            }
        }
        self.variables.truncate(known);
        Ok(Flow::On)
    }

    fn node(&mut self, node: &'a Node, dot: &Value<'a>) -> Result<Flow, Halt> {
        self.meter.charge(1)?;
        match node {
            Node::Text(text) => {
                self.meter.charge(text.len())?;
                self.out.push_str(text);
            }
            Node::Print(pipe) => {
                let value = self.pipe(pipe, dot)?;
                let shown = value.show(&self.meter)?;
                self.meter.charge(shown.len())?;
                self.out.push_str(&shown);
            }
            Node::Set(pipe) => {
                self.pipe(pipe, dot)?;
            }
            Node::If { pipe, body, otherwise } | Node::With { pipe, body, otherwise } => {
                let known = self.variables.len();
                let value = self.pipe(pipe, dot)?;
                let inner = if matches!(node, Node::With { .. }) { &value } else { dot };
                let flow = if value.is_true() { self.list(body, inner) } else { self.list(otherwise, dot) };
                self.variables.truncate(known);
                return flow;
            }
            Node::Range { key, element, pipe, body, otherwise } => {
                let known = self.variables.len();
                let flow = self.range((key.as_deref(), element.as_deref()), pipe, (body, otherwise), dot);
                self.variables.truncate(known);
                return flow;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn range(
        &mut self,
        names: (Option<&'a str>, Option<&'a str>),
        pipe: &'a Pipe,
        (body, otherwise): (&'a [Node], &'a [Node]),
        dot: &Value<'a>,
    ) -> Result<Flow, Halt> {
        let over = self.pipe(pipe, dot)?;
        let mut pairs: Vec<(Value<'a>, Value<'a>)> = Vec::new();
        if let Some(values) = over.elements(&self.meter)? {
            let index = |at: usize| Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
            pairs.extend(values.into_iter().enumerate().map(|(at, value)| (index(at), value)));
        } else if let Some(members) = over.members(&self.meter)? {
            pairs.extend(members.into_iter().map(|(key, value)| (Value::Text(Cow::Owned(key)), value)));
        } else if !matches!(over, Value::None) {
            return Err(Halt::Failed(format!("{} cannot be ranged over", over.kind())));
        }
        if pairs.is_empty() {
            return self.list(otherwise, dot);
        }
        let known = self.variables.len();
        for (key, value) in pairs {
            self.variables.truncate(known);
            self.variables.extend(names.0.map(|name| (name, key)));
            self.variables.extend(names.1.map(|name| (name, value.clone())));
            if self.list(body, &value)? == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn pipe(&mut self, pipe: &'a Pipe, dot: &Value<'a>) -> Result<Value<'a>, Halt> {
        let mut result: Option<Value<'a>> = None;
        for command in &pipe.commands {
            result = Some(self.command(command, result, dot)?);
        }
        let value = result.unwrap_or(Value::None);
        if let Some(variable) = &pipe.variable {
            match self.variables.iter_mut().rev().find(|(name, _)| *name == variable.name) {
                Some(slot) if !variable.declares => slot.1 = value.clone(),
                _ => self.variables.push((&variable.name, value.clone())),
            }
        }
        Ok(value)
    }

    fn command(&mut self, command: &'a Command, piped: Option<Value<'a>>, dot: &Value<'a>) -> Result<Value<'a>, Halt> {
        self.meter.charge(1)?;
        let Some(function) = command.call else {
            return command.operands.first().map_or(Ok(Value::None), |operand| self.operand(operand, dot));
        };
        // The first that decides is the result, and what follows is not looked at.
        let decides = match function.call {
            Call::And => Some(false),
            Call::Or => Some(true),
            Call::Eager(_) => None,
        };
        let mut values = Vec::with_capacity(command.operands.len() + 1);
        for operand in &command.operands {
            let value = self.operand(operand, dot)?;
            if decides == Some(value.is_true()) {
                return Ok(value);
            }
            values.push(value);
        }
        values.extend(piped);
        match function.call {
            Call::Eager(call) => call(&self.meter, &values).map_err(|halt| {
                if let Halt::Failed(why) = halt { Halt::Failed(format!("{}: {why}", function.name)) } else { halt }
            }),
            Call::And | Call::Or => Ok(values.pop().unwrap_or(Value::None)),
        }
    }

    fn operand(&mut self, operand: &'a Operand, dot: &Value<'a>) -> Result<Value<'a>, Halt> {
        let mut value = match &operand.base {
            Base::Dot => dot.clone(),
            Base::Variable(name) if name.is_empty() => self.root.clone(),
            Base::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                found.map_or(Value::None, |(_, value)| value.clone())
            }
            Base::Pipe(pipe) => self.pipe(pipe, dot)?,
            Base::Text(text) => Value::Text(Cow::Borrowed(text)),
            Base::Int(number) => Value::Int(*number),
            Base::Float(number) => Value::Float(*number),
            Base::Bool(truth) => Value::Bool(*truth),
            Base::Nil => Value::None,
        };
        for field in &operand.fields {
            value = value.member(field, &self.meter)?;
        }
        self.meter.charge(1 + value.weight())?;
        Ok(value)
    }
}
