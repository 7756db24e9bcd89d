"""Write the tables of docs/results/*.md anew from the results beside them."""

from caffe_compat.evaluation.experiments.documents import documents, with_tables

for path in documents():
    path.write_text(with_tables(path.read_text()))
    print(f"wrote {path}")
