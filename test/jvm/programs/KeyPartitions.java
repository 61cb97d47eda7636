import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Base64;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.Utils;

/**
 * Where Kafka's own client puts keys: reads one key a line, as base64, and prints its murmur2, and one number for its
 * partitions in topics of 1 to 1000 partitions (each times 31 and added up, with 32 bits).
 */
public class KeyPartitions {
  public static void main(String[] args) throws Exception {
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    StringBuilder output = new StringBuilder();
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      byte[] key = Base64.getDecoder().decode(line.trim());
      int digest = 0;
      for (int count = 1; count <= 1000; count += 1) {
        digest = digest * 31 + BuiltInPartitioner.partitionForKey(key, count);
      }
      output.append(Utils.murmur2(key)).append(' ').append(digest).append('\n');
    }
    System.out.print(output);
  }
}
