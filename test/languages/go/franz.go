package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What franz-go and its admin client saw.
type franzSeen struct {
	Partitions     int            `json:"partitions"`
	Produced       int            `json:"produced"`
	Ends           map[int]int64  `json:"ends"`
	Copied         int            `json:"copied"`
	CopiedTwice    int            `json:"copiedTwice"`
	Aborted        int            `json:"abortedSeen"`
	Lag            int64          `json:"lag"`
	GroupState     string         `json:"groupState"`
	Retention      string         `json:"retention"`
	AfterTrim      int64          `json:"startAfterTrim"`
	Grown          int            `json:"grown"`
	Transactions   map[string]int `json:"transactionStates"`
	TopicsLeft     int            `json:"topicsLeft"`
	BrokerSettings int            `json:"brokerSettings"`
}

const (
	source = "franz-source"
	sink   = "franz-sink"
	group  = "franz-group"
	count  = 1000
)

func runFranz(broker string) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	seen := &franzSeen{Ends: map[int]int64{}, Transactions: map[string]int{}}
	retention := "7200000"
	for _, topic := range []string{source, sink} {
		if _, err := admin.CreateTopic(ctx, 4, 1, map[string]*string{"retention.ms": &retention}, topic); err != nil {
			return nil, fmt.Errorf("create %s: %w", topic, err)
		}
	}
	steps := []func(context.Context, string, *kadm.Client, *franzSeen) error{
		franzProduce, franzAbort, franzCopy, franzVerify, franzDescribe, franzAdmin,
	}
	for _, step := range steps {
		if err := step(ctx, broker, admin, seen); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// The idempotent producer, which is franz-go's default, with small batches of every codec.
func franzProduce(ctx context.Context, broker string, admin *kadm.Client, seen *franzSeen) error {
	codecs := []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	}
	for index, codec := range codecs {
		client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ProducerBatchCompression(codec),
			kgo.ProducerBatchMaxBytes(4096), kgo.DefaultProduceTopic(source))
		if err != nil {
			return err
		}
		failures := make(chan error, count)
		each := count / len(codecs)
		for number := index * each; number < (index+1)*each; number++ {
			record := &kgo.Record{Key: []byte(strconv.Itoa(number % 40)), Value: []byte(strconv.Itoa(number))}
			client.Produce(ctx, record, func(_ *kgo.Record, err error) {
				if err != nil {
					failures <- err
				}
			})
		}
		if err := client.Flush(ctx); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
		client.Close()
		if len(failures) > 0 {
			return fmt.Errorf("produce: %w", <-failures)
		}
		seen.Produced += each
	}
	ends, err := admin.ListEndOffsets(ctx, source)
	if err != nil {
		return err
	}
	ends.Each(func(offset kadm.ListedOffset) { seen.Ends[int(offset.Partition)] = offset.Offset })
	return nil
}

// A transaction that is given up: nobody who reads committed records may see it.
func franzAbort(ctx context.Context, broker string, _ *kadm.Client, _ *franzSeen) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.TransactionalID("franz-aborting"), kgo.DefaultProduceTopic(sink))
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	for number := range 20 {
		client.Produce(ctx, kgo.StringRecord("aborted "+strconv.Itoa(number)), nil)
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	return client.EndTransaction(ctx, kgo.TryAbort)
}

// Reads, writes and commits the offsets in one transaction after the other, in the order of EOS applications.
func franzCopy(ctx context.Context, broker string, _ *kadm.Client, _ *franzSeen) error {
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(broker), kgo.TransactionalID("franz-copying"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumerGroup(group), kgo.ConsumeTopics(source),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RequireStableFetchOffsets())
	if err != nil {
		return err
	}
	defer session.Close()
	for copied, round := 0, 0; copied < count; round++ {
		fetches := session.PollRecords(ctx, 100)
		if errs := fetches.Errors(); len(errs) > 0 {
			return fmt.Errorf("poll: %w", errs[0].Err)
		}
		if err := session.Begin(); err != nil {
			return err
		}
		var failed error
		fetches.EachRecord(func(record *kgo.Record) {
			session.Produce(ctx, &kgo.Record{Topic: sink, Key: record.Key, Value: record.Value},
				func(_ *kgo.Record, err error) {
					if err != nil {
						failed = err
					}
				})
		})
		if err := session.Client().Flush(ctx); err != nil {
			return err
		}
		if failed != nil {
			return fmt.Errorf("copy: %w", failed)
		}
		// Every third one is given up, and its records come again.
		isCommitted, err := session.End(ctx, kgo.TransactionEndTry(round%3 != 2))
		if err != nil {
			return fmt.Errorf("end of the transaction: %w", err)
		}
		if isCommitted {
			copied += fetches.NumRecords()
		}
	}
	return nil
}

func franzVerify(ctx context.Context, broker string, _ *kadm.Client, seen *franzSeen) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(sink),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	values := map[string]int{}
	for len(values) < count {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read the copies, %d so far: %w", len(values), err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			values[string(record.Value)]++
		})
	}
	for value, times := range values {
		if _, err := strconv.Atoi(value); err != nil {
			seen.Aborted++
			continue
		}
		seen.Copied++
		seen.CopiedTwice += times - 1
	}
	return nil
}

func franzDescribe(ctx context.Context, _ string, admin *kadm.Client, seen *franzSeen) error {
	lags, err := admin.Lag(ctx, group)
	if err != nil {
		return err
	}
	seen.Lag = lags[group].Lag.Total()
	seen.GroupState = lags[group].State
	configs, err := admin.DescribeTopicConfigs(ctx, source)
	if err != nil {
		return err
	}
	for _, config := range configs[0].Configs {
		if config.Key == "retention.ms" {
			seen.Retention = config.MaybeValue()
		}
	}
	ofBroker, err := admin.DescribeBrokerConfigs(ctx, 1)
	if err != nil {
		return err
	}
	seen.BrokerSettings = len(ofBroker[0].Configs)
	transactions, err := admin.ListTransactions(ctx, nil, nil)
	if err != nil {
		return err
	}
	for _, transaction := range transactions {
		seen.Transactions[transaction.State]++
	}
	return nil
}

func franzAdmin(ctx context.Context, _ string, admin *kadm.Client, seen *franzSeen) error {
	topics, err := admin.ListTopics(ctx, source)
	if err != nil {
		return err
	}
	seen.Partitions = len(topics[source].Partitions)
	trim := kadm.Offsets{}
	trim.AddOffset(source, 0, seen.Ends[0], -1)
	if _, err := admin.DeleteRecords(ctx, trim); err != nil {
		return err
	}
	starts, err := admin.ListStartOffsets(ctx, source)
	if err != nil {
		return err
	}
	first, _ := starts.Lookup(source, 0)
	seen.AfterTrim = first.Offset
	if _, err := admin.UpdatePartitions(ctx, 6, source); err != nil {
		return err
	}
	grown, err := admin.ListTopics(ctx, source)
	if err != nil {
		return err
	}
	seen.Grown = len(grown[source].Partitions)
	if _, err := admin.DeleteGroup(ctx, group); err != nil {
		return fmt.Errorf("delete the group: %w", err)
	}
	if _, err := admin.DeleteTopics(ctx, source, sink); err != nil {
		return err
	}
	left, err := admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	seen.TopicsLeft = len(left)
	return nil
}
