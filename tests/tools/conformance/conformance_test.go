// Dapr's own conformance tests of pub/sub and state components, against the sockets that Penstock serves,
// through the client with which daprd uses pluggable components.
//
// PENSTOCK_BINARY is the binary; NATS_SERVER a nats-server, for the bus on JetStream; KAFKA the folder of Kafka's jars.
package conformance

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	contribstate "github.com/dapr/components-contrib/state"
	conformancepubsub "github.com/dapr/components-contrib/tests/conformance/pubsub"
	conformancestate "github.com/dapr/components-contrib/tests/conformance/state"
	"github.com/dapr/dapr/pkg/components/pubsub"
	"github.com/dapr/dapr/pkg/components/state"
	"github.com/dapr/kit/logger"
	"github.com/stretchr/testify/require"
)

// What the components can do, in the words of Dapr's own list.
var (
	pubsubOperations = []string{"bulkpublish"}
	stateOperations  = []string{"transaction", "etag", "first-write", "ttl"}
)

// apart is a store that sets and deletes each of several keys in a call of its own, as Dapr does for stores that
// cannot take them together. The tests want an error for each key that was not set, for which the protocol of pluggable
// components has no words.
type apart struct {
	contribstate.Store
	contribstate.TransactionalStore
	bulk contribstate.BulkStore
}

func (store apart) BulkSet(ctx context.Context, req []contribstate.SetRequest, opts contribstate.BulkStoreOpts) error {
	return store.bulk.BulkSet(ctx, req, opts)
}

func (store apart) BulkDelete(ctx context.Context, req []contribstate.DeleteRequest, opts contribstate.BulkStoreOpts) error {
	return store.bulk.BulkDelete(ctx, req, opts)
}

func TestEmbedded(t *testing.T) {
	conform(t, "eventbus.embedded", map[string]string{})
}

func TestJetStream(t *testing.T) {
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	start(t, exec.Command(setting(t, "NATS_SERVER"), "-js", "-a", "127.0.0.1", "-p", port, "-sd", t.TempDir()))
	reachable(t, "tcp", address)
	conform(t, "eventbus.jetstream", map[string]string{"url": "nats://" + address})
}

func TestRedis(t *testing.T) {
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	start(t, exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir(),
		"--appendonly", "yes", "--appendfsync", "always"))
	reachable(t, "tcp", address)
	conform(t, "eventbus.redis", map[string]string{"address": address})
}

func TestKafka(t *testing.T) {
	address, controller, folder := freeAddress(t), freeAddress(t), t.TempDir()
	properties := filepath.Join(folder, "server.properties")
	settings := []string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.voters=1@" + controller,
		"listeners=PLAINTEXT://" + address + ",CONTROLLER://" + controller,
		"advertised.listeners=PLAINTEXT://" + address,
		"controller.listener.names=CONTROLLER",
		"log.dirs=" + filepath.Join(folder, "data"),
		"offsets.topic.replication.factor=1",
		"offsets.topic.num.partitions=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"transaction.state.log.num.partitions=1",
		"group.initial.rebalance.delay.ms=0",
		"auto.create.topics.enable=false",
	}
	require.NoError(t, os.WriteFile(properties, []byte(strings.Join(settings, "\n")), 0o600))
	java := func(arguments ...string) *exec.Cmd {
		jars := filepath.Join(setting(t, "KAFKA"), "*")
		return exec.Command("java", append([]string{"-Xmx256m", "-XX:+UseSerialGC", "-cp", jars}, arguments...)...)
	}
	format := java("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", properties)
	said, err := format.CombinedOutput()
	require.NoError(t, err, string(said))
	start(t, java("kafka.Kafka", properties))
	reachable(t, "tcp", address)
	conform(t, "eventbus.kafka", map[string]string{"brokers": address})
}

func conform(t *testing.T, kind string, settings map[string]string) {
	socket := serve(t, kind)
	log := logger.NewLogger("conformance")
	with := func(bus string) map[string]string {
		properties := map[string]string{"bus": bus, "consumerID": "conformance"}
		for key, value := range settings {
			properties[key] = value
		}
		return properties
	}
	t.Run("pubsub", func(t *testing.T) {
		config, err := conformancepubsub.NewTestConfig(kind, pubsubOperations, map[string]interface{}{
			// Both would be a minute, whatever has come.
			"maxReadDuration": "20s",
		})
		require.NoError(t, err)
		conformancepubsub.ConformanceTests(t, with("pubsub"), pubsub.NewGRPCPubSub(log, socket), config)
	})
	t.Run("state", func(t *testing.T) {
		config, err := conformancestate.NewTestConfig(kind, stateOperations, map[string]interface{}{
			// Etags are numbers.
			"badEtag": "9999999",
		})
		require.NoError(t, err)
		store := state.NewGRPCStateStore(log, socket)
		conformancestate.ConformanceTests(t, with("state"), apart{store, store, contribstate.NewDefaultBulkStore(store)}, config)
	})
}

// serve starts the binary and waits for the socket of the kind.
func serve(t *testing.T, kind string) string {
	binary := setting(t, "PENSTOCK_BINARY")
	// The path of a socket may have 107 bytes only.
	folder, err := os.MkdirTemp("", "conf")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	command := exec.Command(binary, "component", "--kind", kind, "--sockets-dir", folder, "--admin", "127.0.0.1:0")
	command.Env = append(os.Environ(), "PENSTOCK_DATA_DIR="+filepath.Join(folder, "data"))
	start(t, command)
	socket := filepath.Join(folder, kind+".sock")
	reachable(t, "unix", socket)
	return socket
}

func start(t *testing.T, command *exec.Cmd) {
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	command.Stdout, command.Stderr = log, log
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("%s said:\n%s", command.Path, said)
		}
	})
}

func reachable(t *testing.T, network, address string) {
	require.Eventually(t, func() bool {
		connection, err := net.Dial(network, address)
		if err != nil {
			return false
		}
		connection.Close()
		return true
	}, time.Minute, 20*time.Millisecond)
}

func freeAddress(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func setting(t *testing.T, name string) string {
	value := os.Getenv(name)
	if value == "" {
		t.Fatal(name + " is not set")
	}
	return value
}
