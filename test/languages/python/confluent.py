"""confluent-kafka (librdkafka) on the broker that the first argument names. Prints one JSON object with what was seen."""

import json
import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, IsolationLevel, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, OffsetSpec

SOURCE, SINK, COUNT = "confluent-source", "confluent-sink", 1000
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def produce(broker):
    failures = []

    def done(error, _message):
        if error is not None:
            failures.append(str(error))

    for index, codec in enumerate(CODECS):
        settings = {"enable.idempotence": True, "compression.type": codec, "batch.num.messages": 50}
        producer = Producer({"bootstrap.servers": broker, **settings})
        for number in range(index * COUNT // 5, (index + 1) * COUNT // 5):
            producer.produce(SOURCE, key=str(number % 20), value=str(number), headers={"n": str(number)}, on_delivery=done)
        producer.flush(20)
    return failures


def group_of(broker, group, protocol, more=None):
    settings = {"auto.offset.reset": "earliest", "enable.auto.commit": False, "isolation.level": "read_committed"}
    # The coordinator says how long sessions are where it assigns (KIP-848).
    classic = {"session.timeout.ms": 6000, "partition.assignment.strategy": "cooperative-sticky"}
    settings |= classic if protocol == "classic" else {}
    return Consumer({"bootstrap.servers": broker, "group.id": group, "group.protocol": protocol, **settings, **(more or {})})


def consume(broker, protocol):
    """Two members share the topic; each record comes once, and in the order of its key."""
    members = [group_of(broker, f"confluent-{protocol}", protocol) for _ in range(2)]
    for member in members:
        member.subscribe([SOURCE])
    values, last, out_of_order = [], {}, 0
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and [len(member.assignment()) for member in members] != [2, 2]:
        for member in members:
            member.poll(0.1)
    shares = [len(member.assignment()) for member in members]
    # What came while the group formed is read again, by whoever has the partition now: nothing is committed yet.
    for member in members:
        for partition in member.assignment():
            member.seek(TopicPartition(SOURCE, partition.partition, 0))
    per_member = [0, 0]
    while len(values) < COUNT and time.monotonic() < deadline:
        for index, member in enumerate(members):
            for message in member.consume(100, 0.1):
                if message.error() is not None:
                    raise RuntimeError(str(message.error()))
                number = int(message.value())
                key = message.key()
                out_of_order += key in last and last[key] > number
                last[key] = number
                values.append(number)
                per_member[index] += 1
    for member in members:
        if member.assignment():
            member.commit(asynchronous=False)
    committed = members[0].committed([TopicPartition(SOURCE, partition) for partition in range(4)], 10)
    for member in members:
        member.close()
    return {
        "shares": shares,
        "consumed": len(values),
        "distinct": len(set(values)),
        "outOfOrder": out_of_order,
        "bothHadSome": min(per_member) > 0,
        "committed": sum(partition.offset for partition in committed),
    }


def transact(broker):
    """Copies in transactions with the offsets of the group; every third one is given up."""
    consumer = group_of(broker, "confluent-copy", "classic")
    consumer.subscribe([SOURCE])
    producer = Producer({"bootstrap.servers": broker, "transactional.id": "confluent-copying"})
    producer.init_transactions(20)
    copied, attempt = 0, 0
    deadline = time.monotonic() + 40
    while copied < COUNT and time.monotonic() < deadline:
        messages = consumer.consume(200, 2)
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            producer.produce(SINK, key=message.key(), value=message.value())
        positions = consumer.position(consumer.assignment())
        producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), 20)
        attempt += 1
        if attempt % 3 == 2:
            producer.abort_transaction(20)
            for partition in consumer.committed(consumer.assignment(), 10):
                partition.offset = max(partition.offset, 0)
                consumer.seek(partition)
            continue
        producer.commit_transaction(20)
        copied += len(messages)
    consumer.close()
    # The one that would have come before is fenced by its successor.
    rival = Producer({"bootstrap.servers": broker, "transactional.id": "confluent-copying"})
    rival.init_transactions(20)
    fenced = ""
    try:
        producer.begin_transaction()
        producer.produce(SINK, value="fenced")
        producer.commit_transaction(20)
    except Exception as error:
        fenced = error.args[0].name()
    return {"attempts": attempt, "visible": sorted(read_all(broker, "read_committed")), "fenced": fenced}


def read_all(broker, isolation):
    reader = group_of(broker, f"reader-{isolation}", "classic", {"isolation.level": isolation, "enable.partition.eof": True})
    reader.assign([TopicPartition(SINK, partition, 0) for partition in range(4)])
    values, ends = [], 0
    while ends < 4:
        message = reader.poll(10)
        if message is None:
            break
        if message.error() is not None:
            ends += 1
        else:
            values.append(int(message.value()))
    reader.close()
    return values


def administrate(broker, admin):
    resource = ConfigResource(ConfigResource.Type.TOPIC, SOURCE)
    config = list(admin.describe_configs([resource]).values())[0].result(10)
    groups = {group.group_id: str(group.state.name) for group in admin.list_consumer_groups().result(10).valid}
    described = admin.describe_consumer_groups(["confluent-classic"])["confluent-classic"].result(10)
    query = ConsumerGroupTopicPartitions("confluent-classic")
    offsets = admin.list_consumer_group_offsets([query])["confluent-classic"].result(10)
    ends = admin.list_offsets(
        {TopicPartition(SINK, partition): OffsetSpec.latest() for partition in range(4)},
        isolation_level=IsolationLevel.READ_COMMITTED,
    )
    cluster = admin.describe_cluster().result(10)
    list(admin.create_partitions([NewPartitions(SOURCE, 6)]).values())[0].result(10)
    topic = admin.describe_topics(topics(SOURCE))[SOURCE].result(10)
    trimmed = admin.delete_records([TopicPartition(SOURCE, 0, 1)])
    low = list(trimmed.values())[0].result(10).low_watermark
    for group in groups:
        admin.delete_consumer_groups([group])[group].result(10)
    for future in admin.delete_topics([SOURCE, SINK]).values():
        future.result(10)
    return {
        "retention": config["retention.ms"].value,
        "groups": groups,
        "state": described.state.name,
        "committed": sum(partition.offset for partition in offsets.topic_partitions),
        "ends": sum(future.result(10).offset for future in ends.values()) > COUNT,
        "nodes": len(cluster.nodes),
        "grown": len(topic.partitions),
        "low": low,
    }


def topics(*names):
    from confluent_kafka import TopicCollection

    return TopicCollection(list(names))


def main(broker):
    admin = AdminClient({"bootstrap.servers": broker})
    made = [NewTopic(name, 4, 1, config={"retention.ms": "7200000"}) for name in (SOURCE, SINK)]
    for future in admin.create_topics(made).values():
        future.result(10)
    seen = {"failures": produce(broker)}
    seen["classic"] = consume(broker, "classic")
    seen["consumer"] = consume(broker, "consumer")
    transactions = transact(broker)
    visible = transactions.pop("visible")
    seen["transactions"] = {**transactions, "isExactlyOnce": visible == list(range(COUNT))}
    seen["admin"] = administrate(broker, admin)
    print(json.dumps(seen))


main(sys.argv[1])
