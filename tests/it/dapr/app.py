"""An app that is written with Dapr's own SDK: publishes to a topic and subscribes to it by a stream.

It refuses the first delivery of what is named "again", and ends when it has taken everything that it
published. Each delivery is one line of JSON on the standard output.
"""

import json
import sys
import threading

from dapr.clients import DaprClient
from dapr.clients.grpc._response import TopicEventResponse

PUBSUB, TOPIC = sys.argv[1:3]
NAMES = ["one", "again", "bulk-1", "bulk-2"]

refused, taken = set(), set()
done = threading.Event()


def handle(message):
    name = message.data()["name"]
    again = name == "again" and name not in refused
    print(json.dumps({
        "id": message.id(),
        "type": message.type(),
        "topic": message.topic(),
        "data": message.data(),
        "verdict": "retry" if again else "success",
    }), flush=True)
    if again:
        refused.add(name)
        return TopicEventResponse("retry")
    taken.add(name)
    if taken == set(NAMES):
        done.set()
    return TopicEventResponse("success")


def data(name):
    return json.dumps({"name": name, "total": 250})


with DaprClient() as client:
    close = client.subscribe_with_handler(pubsub_name=PUBSUB, topic=TOPIC, handler_fn=handle)
    for name in NAMES[:2]:
        client.publish_event(PUBSUB, TOPIC, data(name), data_content_type="application/json")
    answer = client.publish_events(
        PUBSUB, TOPIC, [data(name) for name in NAMES[2:]], data_content_type="application/json"
    )
    assert not answer.failed_entries, answer.failed_entries
    assert done.wait(60), f"only {taken} came"
    close()
