// One test at a time: what the host may hold is counted over the whole process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
