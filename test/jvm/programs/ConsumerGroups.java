import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.tools.consumer.group.ConsumerGroupCommand;

/**
 * kafka-consumer-groups, many times in one process: reads the arguments of a run from each line, separated by tabs, and
 * answers with a line of base64: what the run has printed.
 */
public class ConsumerGroups {
  public static void main(String[] args) throws Exception {
    PrintStream answers = System.out;
    Exit.setExitProcedure((code, message) -> {
      throw new IllegalStateException("exit " + code + ": " + message);
    });
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      ByteArrayOutputStream output = new ByteArrayOutputStream();
      System.setOut(new PrintStream(output, true, StandardCharsets.UTF_8));
      try {
        ConsumerGroupCommand.main(line.split("\t"));
      } catch (IllegalStateException exit) {
        System.out.println(exit.getMessage());
      }
      answers.println(Base64.getEncoder().encodeToString(output.toByteArray()));
      answers.flush();
    }
  }
}
