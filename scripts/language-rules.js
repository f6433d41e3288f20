/**
 * The words and names that the project does not use, as data for check-language.js. CONTRIBUTING.md has the standard: standard
 * terms of the field, sentences with a subject, one word for each concept.
 */

/** Words of the former private language. They match as words and as parts of identifiers ("parsedWish", "WISH_COUNT"), in any case. */
export const WORDS = [
  ...[
    "whoever",
    "anew",
    "mend",
    "mends",
    "mended",
    "mending",
    "wish",
    "wishes",
    "wished",
    "wishing",
    "asker",
    "askers",
  ],
  ...[
    "journal",
    "journals",
    "chronicle",
    "tee",
    "visits",
    "pulse",
    "pulses",
    "tally",
    "tallies",
    "settle",
    "settles",
    "settled",
  ],
  ...["settling", "unsettle", "unsettled", "doubt", "doubts", "doubtful", "vouch", "vouched", "vouches", "era", "eras"],
  ...[
    "farewell",
    "farewells",
    "cadence",
    "patience",
    "allowance",
    "allowances",
    "door",
    "doors",
    "companion",
    "companions",
  ],
  ...[
    "survey",
    "surveys",
    "bookmark",
    "bookmarks",
    "standstill",
    "shortlist",
    "reception",
    "surroundings",
    "resumption",
  ],
  ...["succession", "forgetful", "attendance"],
];

/** Phrases of the former private language, matched in any case. */
export const PHRASES = [
  ...[
    /\bnobody (?:can|could)\b/i,
    /\bfor people\b/i,
    /\bwhat waits\b/i,
    /\bwho comes\b/i,
    /\bit is so\b/i,
    /\bso many\b/i,
  ],
  ...[
    /\bin the middle of\b/i,
    /\ban end to\b/i,
    /\bmakes? (?:\w+ ){1,3}go\b(?! to)/i,
    /\blay[- ]?out(?=\()/i,
    /\blayOut\b/,
  ],
  ...[/\bMOST_[A-Z]/, /(?<![A-Za-z])REST(?![A-Za-z])/, /(?<![A-Za-z])CUT(?![A-Za-z])/],
];

/** Words that are ordinary in prose, but say too little as the name of something: they match whole parts of identifiers in src only. */
export const NAME_PARTS = ["legacy", "life", "room", "rooms", "told", "nobody"];

/** Names that a declaration (class, interface, type, function) of src may not have: each has a longer name that says what it is. */
export const DECLARED_NAMES = [
  ...[
    "Place",
    "Turns",
    "Site",
    "Answer",
    "Others",
    "News",
    "Observed",
    "Feed",
    "Report",
    "Counts",
    "Recovery",
    "Cadence",
    "Marks",
  ],
  ...[
    "Openings",
    "Idents",
    "Ending",
    "Earlier",
    "Blocks",
    "Runs",
    "Kind",
    "Wrong",
    "together",
    "lines",
    "nearest",
    "latest",
  ],
  ...["Recent", "Pace", "Pause", "Course", "Need", "Filed", "Holder", "Machine", "Told", "startDoors", "Payload"],
];

/**
 * Ordinary uses of the words above. A line that matches `line` may have the word.
 * @type {readonly { readonly word: RegExp; readonly line: RegExp; readonly path?: RegExp; readonly why: string }[]}
 */
export const ALLOWED = [
  // Names in files that development versions have written.
  {
    word: /^(settled|allowance)$/,
    line: /settled|allowance/,
    path: /\/clients\/(client-files|lmdb-client-store\.test)\.ts$/,
  },
  {
    word: /^settle/i,
    line: /promise|allSettled|\.then|resolve|reject/i,
    why: "promises settle: the language's own term",
  },
  { word: /^journal$/i, line: /journald|journalctl|systemd|StandardOutput/i, why: "the journal of systemd" },
  {
    word: /^visits$/i,
    path: /^src\/matching\//,
    line: /instruction|slot|match/i,
    why: "an automaton visits its states",
  },
  { word: /^settled$/, path: /^docs\/decisions\//, line: /`settled`/, why: "a decision record names the former field" },
  { word: /^REST$/, line: /\bREST (?:API|interface)\b/, why: "the architecture style" },
];

/** Last parts of the names of numeric constants: units and counted things. */
export const UNITS = [
  ...[
    "MS",
    "NS",
    "US",
    "SECONDS",
    "MINUTES",
    "HOURS",
    "DAYS",
    "BYTES",
    "BITS",
    "CHARACTERS",
    "COLUMNS",
    "DIGITS",
    "LINES",
  ],
  ...["RATIO", "PERCENT", "FACTOR", "COUNT", "DEPTH", "EVENTS", "CLIENTS", "CONNECTIONS", "SUBSCRIBERS", "PUBLISHERS"],
  ...[
    "MESSAGES",
    "FRAMES",
    "PARTS",
    "REQUESTS",
    "RESPONSES",
    "REPLIES",
    "HANDSHAKES",
    "SUBSCRIPTIONS",
    "ATTEMPTS",
    "TRIES",
  ],
  ...[
    "TOPICS",
    "SELECTORS",
    "MATCHERS",
    "PATTERNS",
    "STEPS",
    "UNITS",
    "CLASSES",
    "ENTRIES",
    "PAGES",
    "BLOCKS",
    "IDS",
    "KEYS",
  ],
  ...[
    "TOKENS",
    "COOKIES",
    "PAIRS",
    "FIELDS",
    "MEMBERS",
    "SAMPLES",
    "SLICES",
    "CHUNKS",
    "NODES",
    "RANGES",
    "SLOTS",
    "LINKS",
  ],
  ...[
    "DESCRIPTORS",
    "EPOCHS",
    "OFFSETS",
    "RECORDS",
    "TARGETS",
    "READS",
    "PROBES",
    "ROUNDS",
    "INTERVALS",
    "PERIODS",
    "TICKS",
  ],
  ...[
    "FENCES",
    "CHECKS",
    "DETAILS",
    "ITEMS",
    "INSTANCES",
    "IDENTS",
    "GENERATIONS",
    "WORDS",
    "PIECES",
    "PROGRAMS",
    "ADDRESSES",
  ],
  ...["CHARS", "FLUSHES", "SETS", "MATCHES"],
];

/** Last parts of the names of numbers that measure nothing: codes, bits, positions within a format. */
export const CODES = [
  "CODE",
  "CHARACTER",
  "BIT",
  "BITMASK",
  "MASK",
  "FLAG",
  "FLAGS",
  "VERSION",
  "MODE",
  "PORT",
  "ID",
  "BYTE",
  "STATUS",
  "OFFSET",
  "MAGIC",
  "INDEX",
  "TAG",
];

/**
 * Numeric constants without a unit, by name, each with the reason.
 * @type {Readonly<Record<string, string>>}
 */
export const UNITLESS = {
  COLON: "the code of a character",
  COMMA: "the code of a character",
  HASH: "the code of a character",
  CARET: "the code of a character",
  BANG: "the code of a character",
  TILDE: "the code of a character",
  SPACE: "the code of a character",
  LF: "the code of a character",
  LIST: "the type byte of a tnetstring",
  DICTIONARY: "the type byte of a tnetstring",
  FLAG_MORE: "a flag bit of ZMTP 3.1, 3.2",
  FLAG_LONG: "a flag bit of ZMTP 3.1, 3.2",
  FLAG_COMMAND: "a flag bit of ZMTP 3.1, 3.2",
  BEFORE_ALL: "an offset below all others",
  MS_PER_SECOND: "a conversion: its name says both units",
  SUBSCRIBE: "the first byte of a subscription message of ZMTP",
  EXIT_INTERNAL_ERROR: "an exit code of sysexits.h",
};
