import io.fabric8.kubernetes.client.server.mock.KubernetesCrudDispatcher;
import io.fabric8.kubernetes.client.server.mock.KubernetesMockServer;
import io.fabric8.mockwebserver.Context;
import java.util.HashMap;
import okhttp3.mockwebserver.MockWebServer;

/** The mock server of fabric8's Kubernetes client, keeping what it is given; prints its address, ends with its input. */
public final class KubernetesMock {
  public static void main(String[] args) throws Exception {
    var server = new KubernetesMockServer(
        new Context(), new MockWebServer(), new HashMap<>(), new KubernetesCrudDispatcher(), false);
    server.init(java.net.InetAddress.getByName("127.0.0.1"), 0);
    System.out.println("serving http://127.0.0.1:" + server.getPort());
    while (System.in.read() >= 0) {
    }
    server.destroy();
  }
}
