import { systemClock } from "../../src/util/clock.js";
import { LibzmqPublisher } from "../../src/zmq/libzmq-publisher.js";
import { eventPublisherContract } from "../contract/event-publisher.js";

eventPublisherContract("LibzmqPublisher", (spec) => new LibzmqPublisher(spec, systemClock));
