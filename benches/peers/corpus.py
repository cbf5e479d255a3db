"""datatrove on a folder of JSON lines: the rules of Gopher, C4 and FineWeb, then
e-mail addresses replaced, then near duplicates by MinHash, on one process.

    corpus.py FOLDER

The language of a text is left out: its model would be fetched from the
internet. Telephone numbers are none of its rules.
"""

import glob
import json
import os
import sys
import tempfile
import time

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
                                        GopherRepetitionFilter)
from datatrove.pipeline.formatters import PIIFormatter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers.jsonl import JsonlWriter
from datatrove.utils.hashing import HashConfig

folder = sys.argv[1]
work = tempfile.mkdtemp()
at = lambda name: os.path.join(work, name)
config = MinhashConfig(hash_config=HashConfig(precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5)
steps = [
    [JsonlReader(folder), GopherRepetitionFilter(), GopherQualityFilter(min_stop_words=None),
     C4QualityFilter(filter_no_terminal_punct=False), FineWebQualityFilter(), PIIFormatter(),
     JsonlWriter(at("clean"), compression=None)],
    [JsonlReader(at("clean")), MinhashDedupSignature(output_folder=at("signatures"), config=config)],
    [MinhashDedupBuckets(input_folder=at("signatures"), output_folder=at("buckets"), config=config)],
    [MinhashDedupCluster(input_folder=at("buckets"), output_folder=at("remove"), config=config)],
    [JsonlReader(at("clean")), MinhashDedupFilter(input_folder=at("remove")), JsonlWriter(at("out"), compression=None)],
]
start = time.time()
for number, pipeline in enumerate(steps):
    tasks = 14 if number == 2 else 1
    LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=1, logging_dir=at(f"log{number}")).run()
seconds = time.time() - start
size = sum(len(json.loads(line)["text"].encode()) for path in glob.glob(f"{folder}/*.jsonl")
           for line in open(path, encoding="utf-8"))
kept = sum(1 for path in glob.glob(at("out/*.jsonl")) for _ in open(path, encoding="utf-8"))
print(f"datatrove: {seconds:.2f} s, {size / 1e6 / seconds:.3f} MB/s, {kept} documents kept")
