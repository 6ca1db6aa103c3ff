"""What the documents are made with: the site's hooks, the reference of the CRD, and the screens."""
