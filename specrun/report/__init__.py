"""The report: views of what was recorded, their drawings, and the documents made from them."""
