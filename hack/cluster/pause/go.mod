module olive.local/pause

go 1.21
