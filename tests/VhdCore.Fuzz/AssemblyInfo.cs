// One test at a time: what a case may allocate is counted over the whole process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
