package contender

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// natsJSON is NATS with a broker of its own, which lives in the server's process; the server is connected to it by TCP
// like everybody else. Calls are request and reply.
func natsJSON() *Contender {
	return &Contender{
		Name: "nats", About: "NATS, JSON in its text frames, broker in the server's process", Module: "github.com/nats-io/nats-server/v2",
		Wire: JSON, Can: Concurrent | Notify | Broadcast,
		Serve: serveNATS,
		Dial: func(addr string, o Options) (Client, error) {
			nc, err := nats.Connect(addr)
			if err != nil {
				return nil, err
			}
			c := &natsClient{nc}
			if o.Got != nil {
				err = natsHear(nc, "cast", o.Got)
			}
			return c, err
		},
	}
}

// natsHear has got called for each message under a subject, and returns when the broker knows of it.
func natsHear(nc *nats.Conn, subject string, got func(Echo)) error {
	_, err := nc.Subscribe(subject, func(m *nats.Msg) {
		var e Echo
		if json.Unmarshal(m.Data, &e) == nil {
			got(e)
		}
	})
	if err != nil {
		return err
	}
	return nc.Flush()
}

func natsSend(nc *nats.Conn, subject string, e Echo) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return nc.Publish(subject, text)
}

type natsServer struct {
	broker *server.Server
	nc     *nats.Conn
}

func serveNATS(o Options) (Server, error) {
	// More than the default of 1 MiB for a message: the text of the large ones alone has that.
	broker, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, MaxPayload: 8 << 20})
	if err != nil {
		return nil, err
	}
	broker.Start()
	if !broker.ReadyForConnections(10 * time.Second) {
		return nil, errors.New("nats: the broker does not start")
	}
	nc, err := nats.Connect(broker.ClientURL())
	if err != nil {
		return nil, err
	}
	if _, err := nc.Subscribe("echo", func(m *nats.Msg) {
		var e Echo
		if json.Unmarshal(m.Data, &e) != nil {
			return
		}
		if text, err := json.Marshal(e); err == nil {
			_ = m.Respond(text)
		}
	}); err != nil {
		return nil, err
	}
	if err := natsHear(nc, "note", o.Got); err != nil {
		return nil, err
	}
	return &natsServer{broker, nc}, nil
}

func (s *natsServer) Addr() string           { return s.broker.ClientURL() }
func (s *natsServer) Receivers() int         { return s.broker.NumClients() - 1 }
func (s *natsServer) Broadcast(e Echo) error { return natsSend(s.nc, "cast", e) }
func (s *natsServer) Close() error {
	s.nc.Close()
	s.broker.Shutdown()
	s.broker.WaitForShutdown()
	return nil
}

type natsClient struct{ nc *nats.Conn }

func (c *natsClient) Call(e Echo) (out Echo, err error) {
	text, err := json.Marshal(e)
	if err != nil {
		return out, err
	}
	m, err := c.nc.Request("echo", text, 30*time.Second)
	if err != nil {
		return out, err
	}
	err = json.Unmarshal(m.Data, &out)
	return out, err
}

func (c *natsClient) Notify(e Echo) error { return natsSend(c.nc, "note", e) }
func (c *natsClient) Close() error {
	c.nc.Close()
	return nil
}
