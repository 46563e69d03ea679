//! What an expression may say. Everything here keeps the cost of a run to the expression times the
//! data: no macro inside or behind another, none that makes new values, none that looks back at the event
//! for each element; lists of literals only; few joins.

use cel::Program;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

use crate::api::problem::alternatives;
use crate::router::filter::slip::Slip;

/// The one variable.
pub(super) const EVENT: &str = "event";

/// How deep an expression may be nested as a tree; it bounds every recursion.
const MAX_DEPTH: usize = 64;

/// How many `+` one expression may have: each of them may join texts as long as the data.
const MAX_JOINS: usize = 16;

const DATA: &str = "data";

/// Functions that give something else than a truth: name, and whether they are called on a value.
const CASTS: &[&str] = &["double", "int", "size", "string"];

/// Functions that are called on a text, with one argument.
const TESTS: &[&str] = &["contains", "endsWith", "startsWith"];

const ARITHMETIC: &[&str] = &[
    operators::ADD,
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
];

const LOGIC: &[&str] = &[
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::INDEX,
    operators::IN,
];

/// What a walk over an expression finds.
pub(super) struct Walk<'p> {
    text: &'p str,
    program: &'p Program,
    pub looks: Vec<Box<[String]>>,
    pub of_data: bool,
    joins: usize,
    /// The element of the macro that the walk is in.
    element: Option<&'p str>,
}

/// Walks over the whole expression.
pub(super) fn walk<'p>(text: &'p str, program: &'p Program) -> Result<Walk<'p>, Slip> {
    let mut walk = Walk { text, program, looks: Vec::new(), of_data: false, joins: 0, element: None };
    let root = program.expression();
    walk.node(root, MAX_DEPTH)?;
    if is_no_truth(root) {
        return Err(walk
            .slip(root, "a filter must give true or false, this is something else")
            .help("compare it, as in size(event.id) > 3"));
    }
    Ok(walk)
}

/// Whether the expression can never be true or false.
fn is_no_truth(root: &IdedExpr) -> bool {
    match &root.expr {
        Expr::Literal(literal) => !matches!(literal, LiteralValue::Boolean(_)),
        Expr::List(_) => true,
        Expr::Call(call) => ARITHMETIC.contains(&&*call.func_name) || CASTS.contains(&&*call.func_name),
        Expr::Comprehension(comprehension) => matches!(comprehension.accu_init.expr, Expr::List(_)),
        _ => false,
    }
}

impl<'p> Walk<'p> {
    /// A slip at the place where `node` was written.
    fn slip(&self, node: &IdedExpr, message: impl Into<String>) -> Slip {
        let start = self.program.source_info().offset_for(node.id).map_or(0, |(start, _)| start);
        let start = usize::try_from(start).unwrap_or(0);
        let at = self.text.char_indices().nth(start).map_or(self.text.len(), |(at, _)| at);
        Slip::new(at, message)
    }

    fn node(&mut self, node: &'p IdedExpr, depth: usize) -> Result<(), Slip> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.slip(node, format!("the expression is nested more than {MAX_DEPTH} levels deep")));
        };
        match &node.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(_) | Expr::Select(_) => self.path(node, depth),
            Expr::Call(call) => self.call(node, call, depth),
            Expr::List(list) => match list.elements.iter().find(|element| !is_literal(element)) {
                Some(element) => Err(self.slip(element, "a list may hold literals only")),
                None => Ok(()),
            },
            Expr::Comprehension(comprehension) => self.comprehension(node, comprehension, depth),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => Err(self.slip(node, "objects cannot be made here")),
        }
    }

    /// A name, with the fields selected of it.
    fn path(&mut self, node: &'p IdedExpr, depth: usize) -> Result<(), Slip> {
        let (mut fields, mut at) = (Vec::new(), node);
        while let Expr::Select(select) = &at.expr {
            if fields.len() >= MAX_DEPTH {
                return Err(self.slip(node, format!("the expression is nested more than {MAX_DEPTH} levels deep")));
            }
            fields.push(select.field.clone());
            at = &select.operand;
        }
        let Expr::Ident(name) = &at.expr else {
            return self.node(at, depth);
        };
        if self.element == Some(name) {
            return Ok(());
        }
        if name != EVENT {
            let known: Vec<&str> = [EVENT].into_iter().chain(self.element).collect();
            return Err(self.slip(at, format!("unknown name {name:?}")).help(alternatives(name, &known)));
        }
        if self.element.is_some() {
            return Err(self
                .slip(at, "inside a macro only the element can be looked at")
                .help("compare with the event outside, or write a script"));
        }
        fields.reverse();
        self.of_data |= fields.first().is_none_or(|field| field == DATA);
        let fields = fields.into_boxed_slice();
        if !self.looks.contains(&fields) {
            self.looks.push(fields);
        }
        Ok(())
    }

    fn call(&mut self, node: &'p IdedExpr, call: &'p CallExpr, depth: usize) -> Result<(), Slip> {
        let name = call.func_name.as_str();
        let arguments = call.args.len() + usize::from(call.target.is_some());
        let wanted = match name {
            _ if ARITHMETIC.contains(&name) || LOGIC.contains(&name) => arguments,
            _ if TESTS.contains(&name) && call.target.is_some() => 2,
            "size" => 1,
            _ if CASTS.contains(&name) && call.target.is_none() => 1,
            _ => {
                let known: Vec<&str> = TESTS.iter().chain(CASTS).copied().collect();
                let help = match name {
                    "matches" => "patterns are for data filters, and for =~ in exprs".to_owned(),
                    _ => alternatives(name, &known) + "; macros: has, all, exists, exists_one, filter",
                };
                return Err(self.slip(node, format!("unknown function {name:?}")).help(help));
            }
        };
        if arguments != wanted {
            return Err(self.slip(node, format!("{name} takes another number of arguments")));
        }
        if name == operators::ADD {
            self.joins += 1;
            if self.joins > MAX_JOINS {
                return Err(self.slip(node, format!("more than {MAX_JOINS} times +")));
            }
        }
        call.target.as_deref().into_iter().chain(&call.args).try_for_each(|part| self.node(part, depth))
    }

    fn comprehension(&mut self, node: &'p IdedExpr, it: &'p ComprehensionExpr, depth: usize) -> Result<(), Slip> {
        if self.element.is_some() {
            return Err(self.slip(node, "a macro cannot stand inside another").help("write a script"));
        }
        let Some(condition) = condition(it) else {
            return Err(self
                .slip(node, "map is not there, as a filter only says yes or no")
                .help("known: has, all, exists, exists_one, filter"));
        };
        if has_macro(&it.iter_range) {
            return Err(self.slip(node, "a macro cannot stand behind another").help("join their conditions by &&"));
        }
        if it.iter_var == EVENT {
            return Err(self.slip(node, "the element needs another name than \"event\""));
        }
        self.node(&it.iter_range, depth)?;
        self.element = Some(&it.iter_var);
        let judged = self.node(condition, depth);
        self.element = None;
        judged
    }
}

fn is_literal(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Literal(_) => true,
        Expr::Call(call) => call.func_name == operators::NEGATE && call.args.iter().all(is_literal),
        _ => false,
    }
}

/// Whether what a macro goes through comes out of another one.
fn has_macro(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Comprehension(_) => true,
        Expr::Select(select) => has_macro(&select.operand),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).any(has_macro),
        _ => false,
    }
}

/// What `all`, `exists`, `exists_one` or `filter` asks of each element; nothing for `map`, whose
/// elements are new.
fn condition(it: &ComprehensionExpr) -> Option<&IdedExpr> {
    let Expr::Call(step) = &it.loop_step.expr else {
        return None;
    };
    let keeps = |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if *name == it.iter_var);
    match (step.func_name.as_str(), &step.args[..]) {
        (operators::LOGICAL_AND | operators::LOGICAL_OR, [_, condition]) => Some(condition),
        (operators::CONDITIONAL, [condition, kept, _]) => match &kept.expr {
            Expr::Call(add) => match add.args.get(1).map(|added| &added.expr) {
                Some(Expr::Literal(_)) => Some(condition),
                Some(Expr::List(list)) if list.elements.iter().all(keeps) => Some(condition),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}
