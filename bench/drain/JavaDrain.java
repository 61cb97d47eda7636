import java.io.ByteArrayOutputStream;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Drains a topic as a Java program does: KafkaConsumer and java.net.http.HttpClient, batches of 500 records of a
 * partition, one request at a time for each partition and all partitions at once, offsets committed once a second after
 * success. Values are joined as bytes, unchecked. Arguments: bootstrap, topic, url, group, records, as name=value.
 */
public final class JavaDrain {
  private static final int BATCH_RECORDS = 500;
  private static final long COMMIT_INTERVAL_NANOS = 1_000_000_000L;
  private static final long BATCH_AGE_NANOS = 100_000_000L;
  /** Records of a partition that may wait; it is paused above. */
  private static final int PENDING_MAX = 20_000;

  private static final class Line {
    final TopicPartition partition;
    final ArrayDeque<ConsumerRecord<byte[], byte[]>> pending = new ArrayDeque<>();
    boolean isSending;
    boolean isPaused;
    long waitingSince;

    Line(TopicPartition partition) {
      this.partition = partition;
    }
  }

  private record Answer(Line line, long nextOffset, int count) {}

  private final String topic;
  private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final HttpRequest.Builder request;
  private final ConcurrentLinkedQueue<Answer> answers = new ConcurrentLinkedQueue<>();
  private final AtomicReference<Throwable> failure = new AtomicReference<>();
  private final Map<TopicPartition, Line> lines = new HashMap<>();
  private final Map<TopicPartition, OffsetAndMetadata> finished = new HashMap<>();
  private long doneCount;

  private JavaDrain(String topic, String url) {
    this.topic = topic;
    this.request = HttpRequest.newBuilder(URI.create(url)).header("content-type", "application/json");
  }

  public static void main(String[] args) throws Exception {
    Map<String, String> given = new HashMap<>();
    for (String arg : args) given.put(arg.substring(0, arg.indexOf('=')), arg.substring(arg.indexOf('=') + 1));
    long start = System.nanoTime();
    long cpuStart = cpuNanos();
    long done = new JavaDrain(given.get("topic"), given.get("url")).run(given);
    double seconds = (System.nanoTime() - start) / 1e9;
    double cpuSeconds = (cpuNanos() - cpuStart) / 1e9;
    System.out.printf(
        "{\"records\":%d,\"seconds\":%.4f,\"cpuSeconds\":%.4f,\"peakRssMb\":%.1f}%n",
        done, seconds, cpuSeconds, peakRssMb());
    System.out.flush();
    System.exit(0);
  }

  private static long cpuNanos() {
    return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
        .getProcessCpuTime();
  }

  private static double peakRssMb() throws Exception {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) return Double.parseDouble(line.replaceAll("\\D+", "")) / 1024;
    }
    return 0;
  }

  private long run(Map<String, String> given) throws Exception {
    long wanted = Long.parseLong(given.get("records"));
    Properties settings = new Properties();
    settings.put("bootstrap.servers", given.get("bootstrap"));
    settings.put("group.id", given.get("group"));
    settings.put("auto.offset.reset", "earliest");
    settings.put("enable.auto.commit", "false");
    settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
    settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
    settings.put("max.poll.records", "10000");
    settings.put("max.partition.fetch.bytes", "1048576");
    settings.put("fetch.max.bytes", "16777216");
    settings.put("fetch.max.wait.ms", "100");
    settings.put("receive.buffer.bytes", "1048576");
    try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
      consumer.subscribe(List.of(topic));
      long lastCommit = System.nanoTime();
      while (doneCount < wanted) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(inFlight() > 0 ? 1 : 10))) {
          Line line = lines.computeIfAbsent(new TopicPartition(record.topic(), record.partition()), Line::new);
          if (line.pending.isEmpty()) line.waitingSince = System.nanoTime();
          line.pending.add(record);
        }
        takeAnswers();
        for (Line line : lines.values()) {
          sendFrom(line);
          pace(consumer, line);
        }
        if (failure.get() != null) throw new IllegalStateException(failure.get());
        if (System.nanoTime() - lastCommit < COMMIT_INTERVAL_NANOS) continue;
        lastCommit = System.nanoTime();
        if (!finished.isEmpty()) consumer.commitAsync(new HashMap<>(finished), null);
        finished.clear();
      }
      if (!finished.isEmpty()) consumer.commitSync(finished);
      return doneCount;
    }
  }

  private long inFlight() {
    return lines.values().stream().filter(line -> line.isSending).count();
  }

  private void takeAnswers() {
    for (Answer answer = answers.poll(); answer != null; answer = answers.poll()) {
      answer.line().isSending = false;
      answer.line().waitingSince = System.nanoTime();
      doneCount += answer.count();
      finished.put(answer.line().partition, new OffsetAndMetadata(answer.nextOffset()));
    }
  }

  private void sendFrom(Line line) {
    if (line.isSending || line.pending.isEmpty()) return;
    boolean isOld = System.nanoTime() - line.waitingSince >= BATCH_AGE_NANOS;
    if (line.pending.size() < BATCH_RECORDS && !isOld) return;
    List<ConsumerRecord<byte[], byte[]>> batch = new ArrayList<>(BATCH_RECORDS);
    while (batch.size() < BATCH_RECORDS && !line.pending.isEmpty()) batch.add(line.pending.poll());
    line.isSending = true;
    long nextOffset = batch.get(batch.size() - 1).offset() + 1;
    HttpRequest post =
        request
            .copy()
            .setHeader("comporta-record-count", Integer.toString(batch.size()))
            .POST(HttpRequest.BodyPublishers.ofByteArray(encode(line.partition.partition(), batch)))
            .build();
    http.sendAsync(post, HttpResponse.BodyHandlers.discarding())
        .whenComplete(
            (response, error) -> {
              if (error != null) failure.set(error);
              else if (response.statusCode() != 200) failure.set(new Exception("status " + response.statusCode()));
              else answers.add(new Answer(line, nextOffset, batch.size()));
            });
  }

  private static void pace(KafkaConsumer<byte[], byte[]> consumer, Line line) {
    if (!line.isPaused && line.pending.size() > PENDING_MAX) {
      consumer.pause(List.of(line.partition));
      line.isPaused = true;
    } else if (line.isPaused && line.pending.size() < PENDING_MAX / 2) {
      consumer.resume(List.of(line.partition));
      line.isPaused = false;
    }
  }

  private byte[] encode(int partition, List<ConsumerRecord<byte[], byte[]>> batch) {
    ByteArrayOutputStream out = new ByteArrayOutputStream(160_000);
    text(out, "{\"topic\":\"" + topic + "\",\"partition\":" + partition + ",\"messages\":[");
    for (int index = 0; index < batch.size(); index++) {
      if (index > 0) out.write(',');
      out.writeBytes(batch.get(index).value());
    }
    StringBuilder columns = new StringBuilder(24_000).append("],\"offsets\":[");
    for (int index = 0; index < batch.size(); index++) {
      columns.append(index > 0 ? "," : "").append(batch.get(index).offset());
    }
    columns.append("],\"timestamps\":[");
    for (int index = 0; index < batch.size(); index++) {
      columns.append(index > 0 ? "," : "").append(batch.get(index).timestamp());
    }
    text(out, columns.append("],\"keys\":[").toString());
    for (int index = 0; index < batch.size(); index++) {
      text(out, index > 0 ? ",\"" : "\"");
      out.writeBytes(batch.get(index).key());
      out.write('"');
    }
    text(out, "]}");
    return out.toByteArray();
  }

  private static void text(ByteArrayOutputStream out, String text) {
    out.writeBytes(text.getBytes(StandardCharsets.ISO_8859_1));
  }
}
