/**
 * Loaded before the tests: property tests make the same values in every run, so that a run of npm test says something about
 * the code and not about luck. To look further: FC_SEED=$RANDOM npm run test:unit; a failure prints the seed.
 */
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env.FC_SEED ?? 2011) });
