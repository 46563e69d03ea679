//! The process of a real server that listens on a port: started, killed, stopped for a while.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// For a server to open its port; a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// The process, when it runs. It is killed when this is dropped.
#[derive(Default)]
pub struct Server(Option<Child>);

impl Server {
    /// Starts it, again after it was killed, and waits until it listens on `port`; what it says goes to `log`.
    pub fn run(&mut self, command: &mut Command, port: u16, log: &Path) {
        let file = File::create(log).unwrap();
        let spawned = command.stdout(file.try_clone().unwrap()).stderr(file).spawn();
        self.0 = Some(spawned.expect("the server is installed (`make tools`)"));
        self.listens(port, log);
    }

    /// Waits until it listens on `port`, too.
    pub fn listens(&mut self, port: u16, log: &Path) {
        let child = self.0.as_mut().expect("the server was started");
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = child.try_wait().unwrap();
            let said = || fs::read_to_string(log).unwrap_or_default();
            let starts = ended.is_none() && started.elapsed() < PATIENCE;
            assert!(starts, "the server does not listen on {port}:\n{}", said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The process, which runs.
    pub fn pid(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM, and waits until it has ended. A server that has just begun to listen may forget the signal (Mosquitto
    /// does), so it is sent again.
    pub fn stop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        let started = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < PATIENCE, "it does not end when told");
            kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// SIGSTOP: connections stay, answers do not come.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let status = format!("/proc/{}/stat", self.pid());
        while !fs::read_to_string(&status).unwrap().contains(") T ") {
            std::thread::yield_now();
        }
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.0.as_ref().unwrap()), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
