package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// What sarama saw.
type saramaSeen struct {
	Produced   int    `json:"produced"`
	Consumed   int    `json:"consumed"`
	Distinct   int    `json:"distinct"`
	OutOfOrder int    `json:"outOfOrder"`
	Committed  int64  `json:"committed"`
	Visible    int    `json:"visible"`
	Retention  string `json:"retention"`
	GroupState string `json:"groupState"`
	IsDeleted  bool   `json:"isDeleted"`
}

const (
	saramaTopic = "sarama-source"
	saramaSink  = "sarama-sink"
	saramaGroup = "sarama-group"
	saramaCount = 600
)

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	return config
}

func runSarama(broker string) (any, error) {
	brokers := []string{broker}
	seen := &saramaSeen{}
	admin, err := sarama.NewClusterAdmin(brokers, saramaConfig())
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	retention := "3600000"
	for _, topic := range []string{saramaTopic, saramaSink} {
		detail := &sarama.TopicDetail{
			NumPartitions: 3, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &retention},
		}
		if err := admin.CreateTopic(topic, detail, false); err != nil {
			return nil, err
		}
	}
	steps := []func([]string, sarama.ClusterAdmin, *saramaSeen) error{
		saramaProduce, saramaConsume, saramaTransact, saramaAdmin,
	}
	for _, step := range steps {
		if err := step(brokers, admin, seen); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

func saramaProduce(brokers []string, _ sarama.ClusterAdmin, seen *saramaSeen) error {
	codecs := []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
	}
	each := saramaCount / len(codecs)
	for index, codec := range codecs {
		config := saramaConfig()
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
		config.Producer.Compression = codec
		producer, err := sarama.NewSyncProducer(brokers, config)
		if err != nil {
			return err
		}
		messages := make([]*sarama.ProducerMessage, 0, each)
		for number := index * each; number < (index+1)*each; number++ {
			messages = append(messages, &sarama.ProducerMessage{
				Topic: saramaTopic,
				Key:   sarama.StringEncoder(strconv.Itoa(number % 30)),
				Value: sarama.StringEncoder(strconv.Itoa(number)),
			})
		}
		if err := producer.SendMessages(messages); err != nil {
			return fmt.Errorf("produce with %s: %w", codec, err)
		}
		if err := producer.Close(); err != nil {
			return err
		}
		seen.Produced += len(messages)
	}
	return nil
}

// A member that collects until it has everything.
type saramaMember struct {
	mutex      sync.Mutex
	last       map[string]int
	values     map[string]bool
	consumed   int
	outOfOrder int
	done       context.CancelFunc
}

func (*saramaMember) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*saramaMember) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (member *saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		member.take(message)
		session.MarkMessage(message, "")
	}
	session.Commit()
	return nil
}

func (member *saramaMember) take(message *sarama.ConsumerMessage) {
	member.mutex.Lock()
	defer member.mutex.Unlock()
	number, _ := strconv.Atoi(string(message.Value))
	if last, ok := member.last[string(message.Key)]; ok && last > number {
		member.outOfOrder++
	}
	member.last[string(message.Key)] = number
	member.values[string(message.Value)] = true
	member.consumed++
	if len(member.values) == saramaCount {
		member.done()
	}
}

func saramaConsume(brokers []string, admin sarama.ClusterAdmin, seen *saramaSeen) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	consumer, err := sarama.NewConsumerGroup(brokers, saramaGroup, saramaConfig())
	if err != nil {
		return err
	}
	member := &saramaMember{last: map[string]int{}, values: map[string]bool{}, done: cancel}
	for ctx.Err() == nil {
		if err := consumer.Consume(ctx, []string{saramaTopic}, member); err != nil {
			return fmt.Errorf("consume: %w", err)
		}
	}
	if err := consumer.Close(); err != nil {
		return err
	}
	seen.Consumed, seen.Distinct, seen.OutOfOrder = member.consumed, len(member.values), member.outOfOrder
	offsets, err := admin.ListConsumerGroupOffsets(saramaGroup, map[string][]int32{saramaTopic: {0, 1, 2}})
	if err != nil {
		return err
	}
	for _, block := range offsets.Blocks[saramaTopic] {
		seen.Committed += block.Offset
	}
	return nil
}

// One transaction that is committed with offsets, and one that is given up.
func saramaTransact(brokers []string, _ sarama.ClusterAdmin, seen *saramaSeen) error {
	config := saramaConfig()
	config.Producer.Idempotent = true
	config.Producer.Transaction.ID = "sarama-transactions"
	config.Net.MaxOpenRequests = 1
	producer, err := sarama.NewSyncProducer(brokers, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	for _, isCommitted := range []bool{true, false, true} {
		if err := producer.BeginTxn(); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		for number := range 10 {
			message := &sarama.ProducerMessage{
				Topic: saramaSink,
				Value: sarama.StringEncoder(fmt.Sprintf("%t %d", isCommitted, number)),
			}
			if _, _, err := producer.SendMessage(message); err != nil {
				return fmt.Errorf("send in a transaction: %w", err)
			}
		}
		if !isCommitted {
			if err := producer.AbortTxn(); err != nil {
				return fmt.Errorf("abort: %w", err)
			}
			continue
		}
		offsets := map[string][]*sarama.PartitionOffsetMetadata{saramaSink: {{Partition: 0, Offset: 5}}}
		if err := producer.AddOffsetsToTxn(offsets, "sarama-transactional-group"); err != nil {
			return fmt.Errorf("offsets in a transaction: %w", err)
		}
		if err := producer.CommitTxn(); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	visible, err := saramaVisible(brokers)
	seen.Visible = visible
	return err
}

// How many records a reader of committed records gets.
func saramaVisible(brokers []string) (int, error) {
	consumer, err := sarama.NewConsumer(brokers, saramaConfig())
	if err != nil {
		return 0, err
	}
	defer consumer.Close()
	visible := 0
	for partition := range int32(3) {
		claim, err := consumer.ConsumePartition(saramaSink, partition, sarama.OffsetOldest)
		if err != nil {
			return 0, err
		}
		// Nothing tells the end of committed records but that no more of them come.
		for isOver := false; !isOver; {
			select {
			case message := <-claim.Messages():
				if string(message.Value[:5]) == "false" {
					return 0, fmt.Errorf("an aborted record was seen: %s", message.Value)
				}
				visible++
			case <-time.After(1500 * time.Millisecond):
				isOver = true
			}
		}
		if err := claim.Close(); err != nil {
			return 0, err
		}
	}
	return visible, nil
}

func saramaAdmin(_ []string, admin sarama.ClusterAdmin, seen *saramaSeen) error {
	resource := sarama.ConfigResource{Type: sarama.TopicResource, Name: saramaTopic, ConfigNames: []string{"retention.ms"}}
	entries, err := admin.DescribeConfig(resource)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		seen.Retention = entry.Value
	}
	groups, err := admin.DescribeConsumerGroups([]string{saramaGroup})
	if err != nil {
		return err
	}
	seen.GroupState = groups[0].State
	if err := admin.DeleteConsumerGroup(saramaGroup); err != nil {
		return err
	}
	for _, topic := range []string{saramaTopic, saramaSink} {
		if err := admin.DeleteTopic(topic); err != nil {
			return err
		}
	}
	topics, err := admin.ListTopics()
	if err != nil {
		return err
	}
	_, isThere := topics[saramaTopic]
	seen.IsDeleted = !isThere
	return nil
}
