using System.Collections.Concurrent;
using VhdCore.Storage;
using VhdCore.Testing;

namespace VhdCli.Tests;

/// <summary>--jobs and the cache modes do what they say.</summary>
public sealed class JobsAndCacheTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(8)]
    public async Task As_many_ranges_are_in_work_as_there_are_jobs_and_never_more(int jobs)
    {
        using var folder = new TempFolder();
        var content = new byte[20 * Images.MiB];
        new Random(6).NextBytes(content);
        File.WriteAllBytes(folder["a.raw"], content);
        foreach (var format in new[] { "raw", "vhd" })
        {
            var (inWork, most) = (0, 0);
            var everyone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var resolver = new WatchingResolver(folder["a.raw"], async _ =>
            {
                var now = Interlocked.Increment(ref inWork);
                for (var seen = Volatile.Read(ref most); now > seen; seen = Volatile.Read(ref most))
                {
                    Interlocked.CompareExchange(ref most, now, seen);
                }

                if (now == jobs && !everyone.Task.IsCompleted)
                {
                    await Task.Delay(100); // time for one more than there may be
                    everyone.TrySetResult();
                }

                await everyone.Task.WaitAsync(Patience.Hang); // fails where fewer come than there should be
                Interlocked.Decrement(ref inWork);
            });
            var args = new[] { "convert", "-q", "-f", "raw", "-O", format, "-m", $"{jobs}", folder["a.raw"], folder["b"] };
            (await Cli.RunAsync(args, null, null, resolver, TestContext.Current.CancellationToken)).EnsureSuccess();
            Assert.Equal(jobs, most);
            Assert.StartsWith(Images.HashOf(content), (await Cli.RunAsync("hash", "-f", format, folder["b"])).EnsureSuccess().Output, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("", StorageCache.Writeback, StorageCache.Writeback)]
    [InlineData("--cache=none", StorageCache.None, StorageCache.None)]
    [InlineData("--cache=writeback", StorageCache.Writeback, StorageCache.Writeback)]
    [InlineData("-t none", StorageCache.Writeback, StorageCache.None)]
    [InlineData("-T none", StorageCache.None, StorageCache.Writeback)]
    [InlineData("--cache=none -t writeback", StorageCache.None, StorageCache.Writeback)]
    [InlineData("--cache=none -T writeback", StorageCache.Writeback, StorageCache.None)]
    public async Task Cache_modes_reach_every_image_of_the_side_they_name(string options, StorageCache source, StorageCache target)
    {
        using var folder = new TempFolder();
        var resolver = new OptionsResolver();
        string[] args = ["convert", "-q", "-O", "vhdx", .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries), Images.ChainLeaf, folder["b.vhdx"]];
        (await Cli.RunAsync(args, null, null, resolver, TestContext.Current.CancellationToken)).EnsureSuccess();
        var written = resolver.Opened.Where(opened => opened.Name.StartsWith(folder.Path, StringComparison.Ordinal)).ToArray();
        var read = resolver.Opened.Except(written).ToArray();
        Assert.NotEmpty(written);
        Assert.True(read.Length > 1, "the chain has parents");
        Assert.All(written, opened => Assert.Equal(target, opened.Io.Cache));
        Assert.All(read, opened => Assert.Equal(source, opened.Io.Cache));
        Assert.StartsWith(Images.ChainLeafHash, (await Cli.RunAsync("hash", folder["b.vhdx"])).EnsureSuccess().Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_engine_that_is_named_is_every_image_s()
    {
        using var folder = new TempFolder();
        var resolver = new OptionsResolver();
        string[] args = ["convert", "-q", "-O", "vhd", "--engine=portable", Images.ChainLeaf, folder["b.vhd"]];
        (await Cli.RunAsync(args, null, null, resolver, TestContext.Current.CancellationToken)).EnsureSuccess();
        Assert.All(resolver.Opened, opened => Assert.Equal(StorageEngine.Portable, opened.Io.Engine));
    }

    /// <summary>Files, and what they were opened with.</summary>
    private sealed class OptionsResolver : IStorageResolver
    {
        private readonly FileStorageResolver _inner = new();

        public ConcurrentQueue<(string Name, IoSettings Io)> Opened { get; } = new();

        public ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options, CancellationToken cancellationToken = default)
        {
            Opened.Enqueue((name, options.Io));
            return _inner.OpenAsync(name, options, cancellationToken);
        }

        public bool Exists(string name) => _inner.Exists(name);

        public void Delete(string name) => _inner.Delete(name);

        public string Canonicalize(string name) => _inner.Canonicalize(name);

        public string Combine(string baseName, string relativeName) => _inner.Combine(baseName, relativeName);
    }
}
