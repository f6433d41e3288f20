// Publishes an event and prints its id: cc publish.c -lczmq && ./a.out TOPIC DATA [ADDRESS]   (Debian: libczmq-dev)
#include <czmq.h>
int main(int argc, char **argv) {
  char id[300];  // an id has at most 256 bytes
  if (argc < 3) return 2;
  zsock_t *socket = zsock_new_req(argc > 3 ? argv[3] : "tcp://127.0.0.1:9997");
  zsock_set_rcvtimeo(socket, 10000);  // without a reply the event may be published or not
  zstr_sendx(socket, argv[1], argv[2], NULL);
  char *reply = zstr_recv(socket);  // {"id":"..."} or {"error":{...}}
  zsock_destroy(&socket);
  bool published = reply && sscanf(reply, "{\"id\":\"%299[^\"]", id) == 1;
  fprintf(published ? stdout : stderr, "%s\n", published ? id : reply ? reply : "no reply");
  return published ? 0 : 1;
}
