"""Drawn shop photographs of 14 kinds of clothes, with the label noise the paper describes and its truth.

``taxonomy`` (the classes and their look-alikes), ``noise`` (hardness and labels), ``style`` and ``wardrobe`` (what a
garment looks like), ``canvas``, ``shapes``, ``fabrics``, ``details``, ``garments``, ``figure``, ``scene`` and
``picture`` (drawing it), ``contact_sheet``; ``write`` and ``dataset`` put it on disk.
"""
