using BenchmarkDotNet.Attributes;
using VhdCore.Disks;
using VhdCore.Testing;

namespace VhdCore.Benchmarks.Micro;

/// <summary>Where a place of the disk lies, asked of disks whose tables are in memory.</summary>
[Config(typeof(InProcess))]
[MemoryDiagnoser]
public class ResolveBenchmarks
{
    private const int Lookups = 1024; // of one invocation

    private readonly long[] _offsets = new long[Lookups];
    private TempFolder? _folder;
    private VirtualDisk? _disk;

    public static IEnumerable<string> Disks => DiskSetup.Names;

    [ParamsSource(nameof(Disks))]
    public string Disk { get; set; } = "";

    [GlobalSetup]
    public async Task SetUp()
    {
        _folder = new TempFolder();
        _disk = await DiskSetup.OpenAsync(_folder, Disk, writable: false);
        var random = new Random(3);
        for (var i = 0; i < Lookups; i++)
        {
            _offsets[i] = random.NextInt64(DiskSetup.Size / 512) * 512;
        }

        await Resolve();
    }

    [GlobalCleanup]
    public async Task CleanUp()
    {
        await _disk!.DisposeAsync();
        _folder!.Dispose();
    }

    [Benchmark(OperationsPerInvoke = Lookups)]
    public async Task<long> Resolve()
    {
        var sum = 0L;
        foreach (var offset in _offsets)
        {
            sum += (await _disk!.Device.MapAsync(offset, 512)).Length;
        }

        return sum;
    }
}
