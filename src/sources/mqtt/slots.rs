//! Which packets wait for their acknowledgement. Pure.
//!
//! A packet's identifier belongs to its message from the moment that it comes until it is
//! acknowledged, over any number of connections of one session. So a message that is sent again while
//! its event is still on its way is known, and an acknowledgement that would come too late, to the
//! session after the one that it belongs to, is never sent: there it would be another message's.

use std::collections::HashMap;

use bytes::Bytes;

use super::config::Qos;
use super::message::Message;

/// What an event's outcome belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub packet: u16,
    pub qos: Qos,
    serial: u64,
}

/// What is to be done about a message that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Its event is to be handed out.
    New(Token),
    /// Its event is on its way already.
    OnItsWay,
    /// Its event was kept before: it is to be acknowledged.
    Kept,
}

#[derive(Debug)]
struct Slot {
    serial: u64,
    /// Whether this message came on the connection that stands now.
    here: bool,
    kept: bool,
    topic: String,
    payload: Bytes,
}

/// The packets of one session.
#[derive(Debug, Default)]
pub(super) struct Slots {
    packets: HashMap<u16, Slot>,
    serial: u64,
    connected: bool,
}

impl Slots {
    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// The connection is gone; nothing can be acknowledged until its messages come again.
    pub(super) fn disconnected(&mut self) {
        self.connected = false;
        self.packets.values_mut().for_each(|slot| slot.here = false);
    }

    /// A connection stands; unless it goes on with the session, all identifiers are free again.
    pub(super) fn connected(&mut self, resumed: bool) {
        self.connected = true;
        if !resumed {
            self.packets.clear();
        }
    }

    /// A message with an identifier came.
    pub(super) fn take(&mut self, message: &Message) -> Taken {
        if let Some(slot) = self.packets.get_mut(&message.packet)
            && slot.topic == message.topic
            && slot.payload == message.payload
        {
            slot.here = true;
            let kept = slot.kept;
            if kept && message.qos == Qos::AtLeastOnce {
                self.packets.remove(&message.packet);
            }
            return if kept { Taken::Kept } else { Taken::OnItsWay };
        }
        self.serial += 1;
        let (topic, payload) = (message.topic.clone(), message.payload.clone());
        self.packets.insert(message.packet, Slot { serial: self.serial, here: true, kept: false, topic, payload });
        Taken::New(Token { packet: message.packet, qos: message.qos, serial: self.serial })
    }

    /// An event was kept; whether its message is to be acknowledged now.
    pub(super) fn keep(&mut self, token: Token) -> bool {
        let Some(slot) = self.packets.get_mut(&token.packet).filter(|slot| slot.serial == token.serial) else {
            return false;
        };
        slot.kept = true;
        let here = slot.here;
        // With QoS 2 the identifier stays in use until the broker releases it.
        if here && token.qos == Qos::AtLeastOnce {
            self.packets.remove(&token.packet);
        }
        here
    }

    /// The broker released an identifier (PUBREL).
    pub(super) fn release(&mut self, packet: u16) {
        self.packets.remove(&packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(packet: u16, qos: Qos, payload: &'static str) -> Message {
        Message {
            topic: "a".to_owned(),
            payload: Bytes::from_static(payload.as_bytes()),
            qos,
            packet,
            retained: false,
            content_type: None,
            properties: Vec::new(),
        }
    }

    fn take(slots: &mut Slots, message: &Message) -> Token {
        match slots.take(message) {
            Taken::New(token) => token,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_identifier_is_free_after_the_acknowledgement() {
        let mut slots = Slots::default();
        let one = message(1, Qos::AtLeastOnce, "one");
        let token = take(&mut slots, &one);
        assert!(slots.keep(token));
        assert!(!slots.keep(token), "once");
        // The same bytes under the same identifier are another message now.
        take(&mut slots, &one);
    }

    #[test]
    fn a_message_that_is_sent_again_is_known_while_its_event_is_on_its_way() {
        let mut slots = Slots::default();
        let one = message(1, Qos::AtLeastOnce, "one");
        let token = take(&mut slots, &one);
        slots.disconnected();
        slots.connected(true);
        assert_eq!(slots.take(&one), Taken::OnItsWay);
        assert!(slots.keep(token));
        // Kept while there was no connection: acknowledged when it comes again.
        let token = take(&mut slots, &one);
        slots.disconnected();
        assert!(!slots.keep(token));
        slots.connected(true);
        assert_eq!(slots.take(&one), Taken::Kept);
    }

    #[test]
    fn nothing_is_acknowledged_to_another_session() {
        let mut slots = Slots::default();
        let token = take(&mut slots, &message(1, Qos::AtLeastOnce, "one"));
        slots.disconnected();
        slots.connected(false);
        let other = take(&mut slots, &message(1, Qos::AtLeastOnce, "two"));
        assert!(!slots.keep(token));
        assert!(slots.keep(other));
    }

    #[test]
    fn with_qos_2_the_identifier_is_free_when_it_is_released() {
        let mut slots = Slots::default();
        let one = message(1, Qos::ExactlyOnce, "one");
        let token = take(&mut slots, &one);
        assert!(slots.keep(token));
        slots.disconnected();
        slots.connected(true);
        assert_eq!(slots.take(&one), Taken::Kept);
        slots.release(1);
        take(&mut slots, &one);
    }
}
