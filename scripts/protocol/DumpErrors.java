import org.apache.kafka.common.errors.InvalidMetadataException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.Errors;

/** Prints Kafka's error table, one error per line: name, code, retriable, metadata stale, message; tab separated. */
public class DumpErrors {
    public static void main(String[] args) {
        for (Errors error : Errors.values()) {
            Throwable exception = error.exception();
            System.out.println(String.join("\t",
                error.name(),
                String.valueOf(error.code()),
                String.valueOf(exception instanceof RetriableException),
                String.valueOf(exception instanceof InvalidMetadataException),
                error.message() == null ? "" : error.message().replaceAll("\\s+", " ")));
        }
    }
}
