/**
 * The files for containers and Kubernetes. Manifests are checked with the JSON schemas of Kubernetes (kubernetes-models); a member that no
 * schema reads is unknown. Images are built and run by scripts/test-packages.sh.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { StatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import { ConfigMap } from "kubernetes-models/v1/ConfigMap";
import { Service } from "kubernetes-models/v1/Service";
import { parse, parseAllDocuments } from "yaml";
import { loadConfig } from "../../src/config/load-config.js";
import { PROJECT } from "../support/processes.js";

const text = (path: string) => readFileSync(join(PROJECT, path), "utf8");

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly [member: string]: unknown;
}

type Model = new (manifest: Manifest) => { validate(): void };

const MODELS: Readonly<Record<string, Model>> = {
  "v1 ConfigMap": ConfigMap as unknown as Model,
  "v1 Service": Service as unknown as Model,
  "networking.k8s.io/v1 NetworkPolicy": NetworkPolicy as unknown as Model,
  "apps/v1 StatefulSet": StatefulSet as unknown as Model,
};

/** Throws what the schema says; returns the paths of members that it does not have. */
function validate(manifest: Manifest): string[] {
  const Model = MODELS[`${manifest.apiVersion} ${manifest.kind}`];
  assert.ok(Model, `no schema of ${manifest.apiVersion} ${manifest.kind}`);
  const read = new Set<string>();
  (watched(new Model(manifest), "", read) as { validate(): void }).validate();
  return pathsOf(manifest).filter((path) => !read.has(path));
}

/** The same value, which records the paths that are read. */
function watched(value: unknown, path: string, read: Set<string>): unknown {
  if (typeof value !== "object" || value === null) return value;
  return new Proxy(value, {
    get(target, name, self) {
      const member: unknown = Reflect.get(target, name, self);
      if (typeof name !== "string" || !Object.hasOwn(target, name)) return member;
      read.add(`${path}/${name}`);
      return watched(member, `${path}/${name}`, read);
    },
  });
}

function pathsOf(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => [`${path}/${name}`, ...pathsOf(member, `${path}/${name}`)]);
}

const manifests = () =>
  parseAllDocuments(text("packaging/kubernetes/m2push.yaml")).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as Manifest;
  });

const ofKind = (kind: string) => manifests().find((manifest) => manifest.kind === kind) ?? assert.fail(kind);

describe("Kubernetes manifests", () => {
  test("fit the schemas of Kubernetes, and have no member that these do not know", () => {
    const kinds = manifests().map(({ kind }) => kind);
    assert.deepEqual(kinds, ["ConfigMap", "Service", "Service", "NetworkPolicy", "StatefulSet"]);
    for (const manifest of manifests()) assert.deepEqual(validate(manifest), [], manifest.kind);
  });

  test("the check finds a wrong type, a missing member and a misspelt one", () => {
    const set = () => structuredClone(ofKind("StatefulSet")) as { spec: Record<string, unknown> } & Manifest;
    const wrong = set();
    wrong.spec.replicas = "one";
    assert.throws(() => validate(wrong), /replicas must be integer/);
    const missing = set();
    delete missing.spec.selector;
    assert.throws(() => validate(missing), /selector/);
    const misspelt = set();
    misspelt.spec.replica = 1;
    assert.deepEqual(validate(misspelt), ["/spec/replica"]);
  });

  test("the pod has neither root nor a writable root, and Kubernetes finds the ports and volumes that it names", () => {
    const { template, volumeClaimTemplates } = ofKind("StatefulSet").spec as Spec;
    assert.equal(template.spec.securityContext.runAsNonRoot, true);
    const volumes = [...template.spec.volumes, ...volumeClaimTemplates.map(({ metadata }) => metadata)].map(
      (it) => it.name,
    );
    const ports = template.spec.containers.flatMap((container) => container.ports.map(({ name }) => name));
    for (const { securityContext, volumeMounts, livenessProbe } of template.spec.containers) {
      assert.deepEqual(securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      for (const { name } of volumeMounts) assert.ok(volumes.includes(name), name);
      assert.ok(ports.includes((livenessProbe.httpGet ?? livenessProbe.tcpSocket)?.port ?? ""));
    }
    const targets = manifests().flatMap(({ kind, spec }) => (kind === "Service" ? (spec as ServiceSpec).ports : []));
    for (const { targetPort } of targets) assert.ok(ports.includes(targetPort), targetPort);
  });

  test("have the configuration of the container image", () => {
    const { data } = ofKind("ConfigMap") as unknown as { data: Record<string, string> };
    assert.deepEqual(Object.keys(data), ["m2push.toml"]);
    assert.equal(data["m2push.toml"], text("packaging/container/m2push.toml"));
  });
});

interface Spec {
  readonly template: {
    readonly spec: {
      readonly securityContext: { readonly runAsNonRoot: boolean };
      readonly volumes: readonly { readonly name: string }[];
      readonly containers: readonly {
        readonly ports: readonly { readonly name: string }[];
        readonly securityContext: unknown;
        readonly volumeMounts: readonly { readonly name: string }[];
        readonly livenessProbe: {
          readonly httpGet?: { readonly port: string };
          readonly tcpSocket?: { readonly port: string };
        };
      }[];
    };
  };
  readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[];
}

interface ServiceSpec {
  readonly ports: readonly { readonly targetPort: string }[];
}

interface ComposeService {
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly volumes: readonly string[];
}

describe("Container files", () => {
  const compose = () =>
    parse(text("packaging/container/compose.yaml")) as {
      services: Record<string, ComposeService>;
      volumes: Record<string, unknown>;
    };

  test("the services of compose.yaml have Containerfiles, volumes, and a read-only root", () => {
    const { services, volumes } = compose();
    assert.deepEqual(Object.keys(services), ["mongrel2", "m2push", "nats"]);
    for (const { build, read_only: isReadOnly, cap_drop: dropped, volumes: mounts } of Object.values(services)) {
      for (const mount of mounts) assert.ok((mount.split(":")[0] ?? "") in volumes, mount);
      if (build === undefined) continue;
      assert.ok(existsSync(join(PROJECT, "packaging/container", build.context, build.dockerfile)), build.dockerfile);
      assert.deepEqual([isReadOnly, dropped], [true, ["ALL"]]);
    }
  });

  test("the Containerfiles have more than one stage where they build, a user that is not root, and files that exist", () => {
    const [daemon, mongrel2] = ["Containerfile", "mongrel2.Containerfile"].map((name) =>
      text(`packaging/container/${name}`),
    );
    assert.equal(daemon?.match(/^FROM /gm)?.length, 2);
    assert.match(daemon ?? "", /^HEALTHCHECK /m);
    for (const file of [daemon, mongrel2]) {
      assert.match(file ?? "", /^USER 10001:10001$/m);
      const copied = [...(file ?? "").matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = ""]) =>
        paths.split(" "),
      );
      for (const path of copied) assert.ok(existsSync(join(PROJECT, path)), path);
    }
  });

  test("the two configurations name the same sockets and uuid", () => {
    const { config } = loadConfig({ cwd: "/", file: join(PROJECT, "packaging/container/m2push.toml") });
    const conf = text("packaging/container/mongrel2.conf");
    const [server] = config.mongrel2;
    assert.ok(conf.includes(`send_spec='${server.send_spec}'`));
    assert.ok(conf.includes(`recv_spec='${server.recv_spec}'`));
    assert.ok(conf.includes(`control_port='${server.control}'`));
    assert.ok(conf.includes(`send_ident='${server.send_ident}'`));
    const uuid = /uuid='([^']+)'/.exec(conf)?.[1];
    assert.ok(text("packaging/container/mongrel2.Containerfile").includes(`config.sqlite ${uuid}`));
  });
});
