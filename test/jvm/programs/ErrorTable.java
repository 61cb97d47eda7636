import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.InvalidMetadataException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.Errors;

/** Prints every error of Kafka's protocol with what its own client does about it: name, code, retriable, stale metadata. */
public class ErrorTable {
    public static void main(String[] args) {
        for (Errors error : Errors.values()) {
            ApiException exception = error.exception();
            System.out.println(String.join("\t",
                error.name(),
                String.valueOf(error.code()),
                String.valueOf(exception instanceof RetriableException),
                String.valueOf(exception instanceof InvalidMetadataException)));
        }
    }
}
