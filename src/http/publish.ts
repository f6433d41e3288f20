/**
 * From a request to a publication (Mercure, "Publishing"). The answer is the event's id, and comes when the event is as durable
 * as configured; nothing of a request that is turned away is published.
 */
import { M2pushError, ProtocolError } from "../errors.js";
import type { Hub } from "../hub/hub.js";
import { coversAll } from "../matching/selector.js";
import { LIMITS } from "../protocol/limits.js";
import { checkDraft, type Draft } from "../protocol/publication.js";
import type { HttpRequest } from "../protocol/request.js";
import { type Access, isResponse, type Principal } from "./access.js";
import { isForm, parseFormBody, valuesOf } from "./form.js";
import type { MercureDialect } from "./mercure/dialect.js";
import type { Dialects } from "./mercure/dialects.js";
import type { Response } from "./response.js";

export interface PublishSettings {
  readonly access: Access;
}

export class Publish {
  readonly #hub: Pick<Hub, "publish">;
  readonly #url: URL;
  readonly #dialects: Dialects;
  readonly #settings: () => PublishSettings;
  readonly #rejected: (error: M2pushError) => void;

  /** `base` is the hub's URL; `settings` are asked for anew with each request. `rejected` hears of each publication that is not accepted. */
  constructor(
    hub: Pick<Hub, "publish">,
    base: string,
    dialects: Dialects,
    settings: () => PublishSettings,
    rejected: (error: M2pushError) => void = () => {},
  ) {
    this.#rejected = rejected;
    this.#hub = hub;
    this.#url = new URL(base);
    this.#dialects = dialects;
    this.#settings = settings;
  }

  async handle(request: HttpRequest): Promise<Response> {
    const { access } = this.#settings();
    const asker = await access.publisher(request);
    const answer = isResponse(asker) ? this.#denied(asker) : await this.#publish(request, asker, access);
    return { persists: true, ...answer };
  }

  async #publish(request: HttpRequest, asker: Principal, access: Access): Promise<Response> {
    const dialect = this.#dialects.ofAsker(asker);
    try {
      const draft = read(request, dialect);
      if (draft.topics.some((topic) => dialect.isReserved(topic, this.#url))) {
        this.#rejected(new M2pushError("forbidden", "a reserved topic"));
        return { status: dialect.reservedStatus, body: "a topic is the hub's own\n", why: "a reserved topic" };
      }
      if (asker !== "anonymous" && !coversAll(asker.publish, draft.topics, this.#url.href)) {
        return this.#denied(access.insufficient("the token grants publishing, but not on every topic of this update"));
      }
      checkDraft(draft, { joiners: dialect.joinersInTopics });
      const { id } = await this.#hub.publish(draft);
      return { status: 200, body: id };
    } catch (error) {
      if (error instanceof M2pushError) this.#rejected(error);
      if (!(error instanceof ProtocolError)) throw error;
      const status = error.code === "too_large" ? 413 : 400;
      return { status, body: `${error.message}\n`, why: error.message };
    }
  }

  #denied(answer: Response): Response {
    this.#rejected(
      new M2pushError(
        answer.status === 403 ? "forbidden" : "unauthenticated",
        answer.why ?? `answered with ${answer.status}`,
      ),
    );
    return answer;
  }
}

/** The fields of the form; any others are nobody's business. */
function read(request: HttpRequest, dialect: MercureDialect): Draft {
  if (!isForm(request)) {
    throw new ProtocolError("invalid", "the body is not application/x-www-form-urlencoded");
  }
  const form = parseFormBody(request.body);
  const [topic, ...alternates] = valuesOf(form, "topic");
  if (topic === undefined) throw new ProtocolError("invalid", 'missing "topic" parameter');
  if (alternates.length >= LIMITS.topics && dialect.tooManyTopicsStatus === 400) {
    throw new ProtocolError("invalid", `more than ${LIMITS.topics} topics`);
  }
  const [id, type, retry] = ["id", "type", "retry"].map((name) => valuesOf(form, name)[0] || undefined);
  return {
    topics: [topic, ...alternates],
    data: valuesOf(form, "data")[0] ?? "",
    private: form.some(([name]) => name === "private"),
    ...(id !== undefined && { id }),
    ...(type !== undefined && { type }),
    ...(retry !== undefined && { retry: milliseconds(retry) }),
  };
}

function milliseconds(digits: string): number {
  if (!/^[0-9]+$/.test(digits)) throw new ProtocolError("invalid", "retry has something other than digits");
  return Number(digits);
}
