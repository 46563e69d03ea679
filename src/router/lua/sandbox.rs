//! One state of Lua, with one script loaded, and the meter of its runs.

use std::cell::Cell;
use std::time::Duration;

use mlua::chunk::ChunkMode;
use mlua::{Error, Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, Value, VmState};

use super::{Halt, MAX_MEMORY, MAX_STEPS, MAX_TIME, Refused, text, value};
use crate::task;

/// How deep functions of the host may call the script back. Each level costs far more of the
/// thread's stack than a call within Lua, whose own bound is on calls.
const MAX_NESTED: u32 = 8;

/// How many instructions pass between two looks at the meter.
const STRIDE: u32 = 100;

/// The name of the chunk, which begins its messages: `script:3: ..`.
const CHUNK: &str = "script";

const SETUP: &str = include_str!("setup.lua");

/// A state, its script, and what makes the globals of a run.
pub(super) struct Sandbox {
    lua: Lua,
    main: Function,
    globals: Function,
}

impl Sandbox {
    pub fn new(script: &str) -> mlua::Result<Self> {
        let lua = Lua::new_with(StdLib::STRING | StdLib::TABLE | StdLib::MATH, LuaOptions::default())?;
        lua.set_memory_limit(MAX_MEMORY)?;
        let check = lua.create_function(|lua, ()| charge(lua, 1))?;
        let setup = lua.load(SETUP).set_name("=setup").set_mode(ChunkMode::Text).into_function()?;
        let globals = setup.call((check, text::functions(&lua)?))?;
        let main = lua.load(script).set_name(format!("={CHUNK}")).set_mode(ChunkMode::Text).into_function()?;
        let triggers = HookTriggers::new().every_nth_instruction(STRIDE);
        lua.set_hook(triggers, |lua, _| charge(lua, u64::from(STRIDE)).map(|()| VmState::Continue))?;
        Ok(Self { lua, main, globals })
    }

    /// The last value that the script returns for `json`.
    pub fn run(&self, json: &str) -> Result<Value, Halt> {
        let halt = |error: Error| self.halt(&error);
        self.lua.set_app_data(Meter::new());
        let event = value::from_json(&self.lua, json)?;
        let globals: Table = self.globals.call(event).map_err(halt)?;
        self.main.set_environment(globals).map_err(halt)?;
        let mut results: MultiValue = self.main.call(()).map_err(halt)?;
        Ok(results.pop_back().unwrap_or(Value::Nil))
    }

    fn halt(&self, error: &Error) -> Halt {
        let over = self.lua.app_data_ref::<Meter>().is_some_and(|meter| meter.over.get());
        if over || is_out_of_memory(error) { Halt::TooCostly } else { Halt::Failed(first_line(error)) }
    }
}

pub(super) fn is_out_of_memory(error: &Error) -> bool {
    match error {
        Error::MemoryError(_) => true,
        Error::CallbackError { cause, .. } => is_out_of_memory(cause),
        // How Lua says it when it is its own code that runs out.
        Error::RuntimeError(message) => message.contains("not enough memory"),
        _ => false,
    }
}

/// The message without Lua's stack.
fn first_line(error: &Error) -> String {
    let message = match error {
        Error::CallbackError { cause, .. } => return first_line(cause),
        Error::RuntimeError(message) => message.clone(),
        other => other.to_string(),
    };
    message.lines().next().unwrap_or_default().to_owned()
}

/// What a text that does not compile is refused with.
pub(super) fn refused(error: &Error) -> Refused {
    let message = match error {
        Error::SyntaxError { message, .. } => message.clone(),
        other => first_line(other),
    };
    let placed = message.strip_prefix(CHUNK).and_then(|rest| rest.strip_prefix(':')).and_then(|rest| {
        let (line, rest) = rest.split_once(": ")?;
        Some((line.parse().ok()?, rest.to_owned()))
    });
    match placed {
        Some((line, message)) => Refused { line: Some(line), message },
        None => Refused { line: None, message },
    }
}

/// What the run that is on has used.
struct Meter {
    steps: Cell<u64>,
    watch: Box<dyn Fn() -> Duration + Send>,
    /// Whether a limit was met.
    over: Cell<bool>,
    /// Calls back into the script that are open.
    nested: Cell<u32>,
}

impl Meter {
    fn new() -> Self {
        Self { steps: Cell::new(0), watch: Box::new(task::stopwatch()), over: Cell::new(false), nested: Cell::new(0) }
    }
}

/// Counts steps of the run.
///
/// # Errors
/// When it is at its limit; nothing in a script can catch that.
pub(super) fn charge(lua: &Lua, steps: u64) -> mlua::Result<()> {
    let Some(meter) = lua.app_data_ref::<Meter>() else {
        return Ok(());
    };
    meter.steps.set(meter.steps.get().saturating_add(steps));
    if meter.steps.get() > MAX_STEPS || (meter.watch)() > MAX_TIME {
        meter.over.set(true);
        return Err(Error::runtime("the script takes too many steps"));
    }
    Ok(())
}

/// The steps that are left to the run.
pub(super) fn left(lua: &Lua) -> u64 {
    lua.app_data_ref::<Meter>().map_or(0, |meter| MAX_STEPS.saturating_sub(meter.steps.get()))
}

/// Calls the script back from a function of the host.
pub(super) fn nest<T>(lua: &Lua, call: impl FnOnce() -> mlua::Result<T>) -> mlua::Result<T> {
    let deeper = |by: i32| {
        let meter = lua.app_data_ref::<Meter>();
        meter.map_or(0, |meter| meter.nested.replace(meter.nested.get().saturating_add_signed(by)))
    };
    if deeper(1) >= MAX_NESTED {
        return Err(Error::runtime("functions that replace text are nested too deep"));
    }
    // After an error the run is over, and its meter with it.
    let value = call()?;
    deeper(-1);
    Ok(value)
}
