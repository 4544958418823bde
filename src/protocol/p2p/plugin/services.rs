//! Services: events with a name of their own, which go to whoever created it. Layer 2.

use super::emit::{Emitted, deliver, quoted_name, reserved};
use super::{Event, answer, answer_error, error, names};
use crate::hub::devices::DeviceId;
use crate::hub::devices::relations::NotCreated;
use crate::json::fields;
use crate::protocol::{Context, Effects};

/// `CHECK_API_NAME(name)[bool]`.
pub(super) fn on_check(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let devices = &cx.hub.devices;
    let is_taken = event.first().and_then(names::name).is_some_and(|name| devices.provider(&name).is_some());
    if let Some(device) = devices.get(me) {
        answer(fx, device, event.id, &[if is_taken { b"true" } else { b"false" }]);
    }
}

/// `CREATE_API(name)[null]`; the first to have the event said `CREATE_API(clientId, name)`.
pub(super) fn on_create(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let limits = &cx.config.limits;
    let mut arguments = event.arguments();
    let first = arguments.next();
    let name = names::kept_name(arguments.next().filter(|second| fields::is_string(second)).or(first), limits.max_name);
    let devices = &mut cx.hub.devices;
    let fault = match name {
        Err(fault) => Some(format!("Error: CREATE_API: {fault}")),
        Ok(name) if names::is_reserved(name.as_bytes()) => Some(reserved(&name)),
        Ok(name) => match devices.provide(me, &name, limits.max_rooms) {
            Ok(()) => None,
            Err(NotCreated::Taken) => Some(format!("Duplicated API name: {name}")),
            Err(NotCreated::Full) => Some("Error: CREATE_API: too many services (--max-rooms)".to_owned()),
            Err(NotCreated::NoMemory) => Some("Error: CREATE_API: memory is short (--max-memory)".to_owned()),
        },
    };
    let Some(device) = devices.get(me) else { return };
    match fault {
        Some(fault) => answer_error(fx, device, event.id, &fault),
        None => answer(fx, device, event.id, &[b"null"]),
    }
}

/// `DESTROY_API(name)[null]`, or all of one's own: without a name, or with an empty one.
pub(super) fn on_destroy(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let devices = &mut cx.hub.devices;
    let mut is_done = true;
    match event.first().filter(|name| !fields::is_falsy(name)).map(names::name) {
        None => devices.destroy_all(me),
        Some(name) => is_done = name.is_some_and(|name| devices.destroy(me, &name)),
    }
    let Some(device) = devices.get(me) else { return };
    if is_done {
        answer(fx, device, event.id, &[b"null"]);
    } else {
        answer_error(fx, device, event.id, "Error: DESTROY_API: this client provides no such service");
    }
}

/// `USE_API(name, ...args)[…]`.
pub(super) fn on_use(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let devices = &cx.hub.devices;
    let mut arguments = event.arguments();
    let span = arguments.next();
    let name = span.and_then(names::name);
    let provider = name.as_ref().and_then(|name| devices.provider(name));
    let (Some(provider), Some(span)) = (provider, span) else {
        let Some(device) = devices.get(me) else { return };
        let name = name.unwrap_or_default();
        return error(fx, device, &format!("Error: API is not registered: {}", names::shown(&name)));
    };
    let emitted =
        Emitted { name: &quoted_name(span), arguments: arguments.rest(), id: event.id, attachments: event.attachments };
    deliver(me, provider, &emitted, cx, fx);
}
