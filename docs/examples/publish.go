// Publishes an event and prints its id or the error: go run publish.go TOPIC DATA   (github.com/pebbe/zmq4; not run by the tests)
package main

import ("fmt"; "os"; "time"; zmq "github.com/pebbe/zmq4")

func main() {
	socket, _ := zmq.NewSocket(zmq.REQ)
	socket.SetRcvtimeo(10 * time.Second) // without a reply the event may be published or not
	socket.Connect("tcp://127.0.0.1:9997")
	socket.SendMessage(os.Args[1], os.Args[2])
	fmt.Println(socket.Recv(0)) // {"id": "..."} or {"error": {...}}
}
