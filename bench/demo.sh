#!/bin/sh
# The whole path on synthetic data: what `make demo` runs. Each line is a command of the README.
set -eu
export ASD_ROOT="${ASD_ROOT:-asd_work}"
run() { printf '\n$ %s\n' "$*"; "$@"; }
run asd download demo
run asd train --recipe baseline_ae --data demo
run asd embed
run asd score
run asd ensemble
run asd evaluate
run asd package-submission --label Example_UNI_task2_1 \
    --author "Erin Example <erin@example.org>, Example University, Sampletown"
printf '\nEverything lies under %s: data, store, runs, embeddings, scores, ensembles, submissions.\n' "$ASD_ROOT"
