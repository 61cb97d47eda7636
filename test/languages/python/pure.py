"""The clients in plain Python, kafka-python and aiokafka, on the broker that the first argument names: JSON of what they saw."""

import asyncio
import json
import sys

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

COUNT = 500


def kafka_python(broker):
    topic = "kafka-python"
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.create_topics([NewTopic(topic, 3, 1)])
    for codec in [None, "gzip"]:
        producer = KafkaProducer(bootstrap_servers=broker, acks="all", compression_type=codec, enable_idempotence=True)
        for number in range(COUNT // 2):
            value = number if codec is None else number + COUNT // 2
            producer.send(topic, key=str(number % 10).encode(), value=str(value).encode())
        producer.flush(20)
        producer.close()
    settings = {"group_id": "kafka-python-group", "auto_offset_reset": "earliest", "enable_auto_commit": False}
    consumer = KafkaConsumer(topic, bootstrap_servers=broker, consumer_timeout_ms=3000, **settings)
    values = []
    for message in consumer:
        values.append(int(message.value))
        if len(values) == COUNT:
            break
    consumer.commit()
    committed = sum(consumer.committed(TopicPartition(topic, partition)) or 0 for partition in range(3))
    consumer.close()
    topics = admin.list_topics()
    admin.delete_topics([topic])
    admin.close()
    return {"values": sorted(values) == list(range(COUNT)), "committed": committed, "isListed": topic in topics}


async def aio_kafka(broker):
    topic, sink = "aiokafka", "aiokafka-sink"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    made = [aiokafka.admin.NewTopic(name, 2, 1) for name in (topic, sink)]
    await admin.create_topics(made)
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True)
    await producer.start()
    for number in range(COUNT):
        await producer.send(topic, key=str(number % 10).encode(), value=str(number).encode())
    await producer.flush()
    await producer.stop()
    settings = {"group_id": "aiokafka-group", "auto_offset_reset": "earliest", "enable_auto_commit": False}
    consumer = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=broker, isolation_level="read_committed", **settings)
    await consumer.start()
    writer = aiokafka.AIOKafkaProducer(bootstrap_servers=broker, transactional_id="aiokafka-copying")
    await writer.start()
    copied = 0
    while copied < COUNT:
        batches = await consumer.getmany(timeout_ms=5000, max_records=100)
        offsets = {partition: messages[-1].offset + 1 for partition, messages in batches.items()}
        async with writer.transaction():
            for messages in batches.values():
                for message in messages:
                    await writer.send(sink, value=message.value)
                    copied += 1
            await writer.send_offsets_to_transaction(offsets, "aiokafka-group")
    try:
        async with writer.transaction():
            await writer.send_and_wait(sink, value=b"-1")
            raise KeyError("given up")
    except KeyError:
        pass
    await writer.stop()
    committed = [await consumer.committed(aiokafka.TopicPartition(topic, partition)) for partition in range(2)]
    await consumer.stop()
    reader = aiokafka.AIOKafkaConsumer(bootstrap_servers=broker, isolation_level="read_committed")
    await reader.start()
    partitions = [aiokafka.TopicPartition(sink, partition) for partition in range(2)]
    reader.assign(partitions)
    await reader.seek_to_beginning()
    values = []
    while len(values) < COUNT:
        for messages in (await reader.getmany(timeout_ms=5000)).values():
            values += [int(message.value) for message in messages]
    values += [int(m.value) for ms in (await reader.getmany(timeout_ms=500)).values() for m in ms]
    await reader.stop()
    await admin.delete_topics([topic, sink])
    await admin.close()
    return {"values": sorted(values) == list(range(COUNT)), "committed": sum(committed)}


def main(broker):
    print(json.dumps({"kafkaPython": kafka_python(broker), "aiokafka": asyncio.run(aio_kafka(broker))}))


main(sys.argv[1])
