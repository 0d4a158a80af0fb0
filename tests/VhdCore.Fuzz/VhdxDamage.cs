using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Faults;
using VhdCore.Testing.Recording;

namespace VhdCore.Fuzz;

/// <summary>How far a damaged image could be used.</summary>
internal enum VhdxUse
{
    Refused,
    Read,
    Written,
}

/// <summary>
/// Damages one VHDX again and again, and holds the library to this: what it refuses it names and leaves as it is; what it reads is true; and opening for writing
/// and writing change nothing that could be read before but what is written.
/// </summary>
/// <param name="image">The sound image.</param>
/// <param name="parent">Its parent, where it has one.</param>
internal sealed class VhdxDamage(byte[] image, byte[]? parent)
{
    private const string Leaf = "/vm/leaf.vhdx";
    private const string Sound = "/vm/sound.vhdx";
    private const int Unit = 64 << 10; // bytes of disk, read and compared at once
    private const long MaxRead = 5 << 20; // bytes of disk from its start
    private const int Writes = 3;

    private readonly MemoryStorageResolver _memory = new();
    private readonly ImageOpenOptions _options = new() { Format = ImageFormat.Vhdx, TableCacheBytes = 1 << 20, OnWarning = _ => { } };
    private bool _isFresh;
    private RecordingResolver _resolver = null!;

    /// <summary>Cuts the image; lengths that only fall take least time.</summary>
    /// <param name="length">Bytes that are left.</param>
    /// <param name="expected">What the disk then holds.</param>
    public async Task<VhdxUse> CutAsync(long length, Func<byte[]> expected)
    {
        await RestoreAsync(length);
        await using (var storage = await _memory.OpenAsync(Leaf, StorageOpenOptions.ForWriting))
        {
            await storage.SetLengthAsync(length);
        }

        return await JudgeAsync($"cut to {length} bytes", expected);
    }

    /// <summary>Changes places in the image.</summary>
    public async Task<VhdxUse> ChangeAsync(string what, IEnumerable<(long Offset, byte[] Bytes)> changes)
    {
        _isFresh = false;
        await RestoreAsync(image.Length);
        await using (var storage = await _memory.OpenAsync(Leaf, StorageOpenOptions.ForWriting))
        {
            foreach (var (offset, bytes) in changes)
            {
                await storage.WriteBytesAsync(offset, bytes);
            }
        }

        _isFresh = false;
        return await JudgeAsync(what, expected: null);
    }

    private async Task RestoreAsync(long length)
    {
        if (!_memory.Exists(Sound))
        {
            _memory.Add(Sound, image);
            if (parent is not null)
            {
                _memory.Add("/vm/base.vhdx", parent);
            }
        }

        if (_isFresh)
        {
            await using var storage = await _memory.OpenAsync(Leaf, StorageOpenOptions.ForReading);
            _isFresh = storage.Length >= length;
        }

        if (!_isFresh)
        {
            _memory.Copy(Sound, Leaf);
            _isFresh = true;
        }
    }

    private async Task<VhdxUse> JudgeAsync(string what, Func<byte[]>? expected)
    {
        _resolver = new RecordingResolver(_memory);
        try
        {
            return await JudgeUseAsync(what, expected);
        }
        catch (Exception exception) when (exception is not OracleException)
        {
            throw new OracleException($"{what}: {exception.GetType().Name} came out.", exception);
        }
    }

    private async Task<VhdxUse> JudgeUseAsync(string what, Func<byte[]>? expected)
    {
        var findings = (await CheckOperation.RunAsync(Leaf, _options, _resolver)).Findings;
        var before = await ReadAsync(what);
        if (before is null)
        {
            Require(findings.Any(finding => finding.Severity >= CheckSeverity.Warning), what, "it is refused, and the check finds nothing");
            Require(await OpenForWritingAsync(what) is null, what, "it is refused for reading, and opened for writing");
            RequireUnchanged(what);
            return VhdxUse.Refused;
        }

        if (expected is not null)
        {
            Compare(expected(), before, what + ", as it is");
        }

        var disk = await OpenForWritingAsync(what);
        if (disk is null)
        {
            Require(findings.Any(finding => finding.Severity >= CheckSeverity.Warning), what, "it is not opened for writing, and the check finds nothing");
            RequireUnchanged(what);
            return VhdxUse.Read;
        }

        _isFresh = false;
        await disk.DisposeAsync();
        Compare(before, await ReadAsync(what), what + ", opened for writing and closed");
        if (expected is not null)
        {
            Compare(expected(), await ReadAsync(what), what + ", opened for writing and closed");
        }

        await WriteAsync(what, before, findings);
        return VhdxUse.Written;
    }

    private async Task WriteAsync(string what, Dictionary<long, byte[]> content, IReadOnlyList<CheckFinding> findings)
    {
        var random = new Random(what.Length);
        var disk = await OpenForWritingAsync(what) ?? throw new OracleException($"{what}: what was opened for writing is not opened again.");
        await using (disk)
        {
            for (var i = 0; i < Writes; i++)
            {
                var units = Math.Max(1, Math.Min(disk.Length, MaxRead) / Unit);
                var offset = random.NextInt64(units) * Unit;
                var bytes = new byte[Math.Min(4096, disk.Length - offset)];
                random.NextBytes(bytes);
                await disk.WriteAsync(offset, bytes);
                if (content.TryGetValue(offset, out var unit))
                {
                    bytes.CopyTo(unit, 0);
                }
            }
        }

        Compare(content, await ReadAsync(what), what + ", written to");
        var news = (await CheckOperation.RunAsync(Leaf, _options, _resolver)).Findings
            .FirstOrDefault(finding => finding.Severity == CheckSeverity.Corruption && findings.All(old => old.Id != finding.Id));
        Require(news is null, what, $"writing left {news}");
    }

    /// <summary>What can be read of the disk's beginning and of its end, by offset; null where the image is refused.</summary>
    private async Task<Dictionary<long, byte[]>?> ReadAsync(string what)
    {
        VirtualDisk disk;
        try
        {
            disk = await VirtualDisk.OpenAsync(Leaf, _options, _resolver);
        }
        catch (ImageException exception)
        {
            Require(exception is { Path: not null, Message.Length: > 20 }, what, "a refusal without a place");
            return null;
        }

        var content = new Dictionary<long, byte[]>();
        await using (disk)
        {
            for (long offset = 0; offset < disk.Length; offset += Unit)
            {
                if (offset >= MaxRead)
                {
                    offset = Math.Max(offset, (disk.Length - 1) / Unit * Unit);
                }

                var bytes = new byte[Math.Min(Unit, disk.Length - offset)];
                using var buffer = new NativeBuffer(bytes.Length);
                var status = await disk.Device.ReadAsync(offset, buffer.Buffers);
                Require(status is BlockStatus.Ok or BlockStatus.Corrupt or BlockStatus.IoError, what, $"reading at {offset} answers {status}");
                if (status == BlockStatus.Ok)
                {
                    buffer.Span.CopyTo(bytes);
                    content.Add(offset, bytes);
                }
            }
        }

        RequireParentUnchanged(what);
        return content;
    }

    private async Task<VirtualDisk?> OpenForWritingAsync(string what)
    {
        _resolver.Clear();
        try
        {
            return await VirtualDisk.OpenAsync(Leaf, _options with { Writable = true }, _resolver);
        }
        catch (ImageException exception)
        {
            Require(exception is { Path: not null, Message.Length: > 20 }, what, "a refusal without a place");
            return null;
        }
    }

    private static void Compare(Dictionary<long, byte[]> expected, Dictionary<long, byte[]>? actual, string what)
    {
        Require(actual is not null, what, "the disk cannot be opened any more");
        foreach (var (offset, bytes) in expected)
        {
            Require(actual!.TryGetValue(offset, out var now), what, $"byte {offset} of the disk cannot be read any more");
            var same = now.AsSpan().CommonPrefixLength(bytes);
            Require(same == bytes.Length, what, $"byte {offset + same} of the disk is not what it was");
        }
    }

    private static void Compare(byte[] expected, Dictionary<long, byte[]>? actual, string what)
    {
        foreach (var (offset, bytes) in actual ?? [])
        {
            var same = expected.AsSpan((int)offset, bytes.Length).CommonPrefixLength(bytes);
            Require(same == bytes.Length, what, $"byte {offset + same} of the disk is not what it should be");
        }
    }

    private void RequireUnchanged(string what)
    {
        var change = _resolver.Operations.Where(operation => operation.Operation != StorageOperation.Flush).Take(1).ToArray();
        Require(change.Length == 0, what, $"a refused image was changed: {(change.Length == 0 ? null : change[0])}");
    }

    private void RequireParentUnchanged(string what) =>
        Require(_resolver.Operations.All(operation => operation.Name == Leaf || operation.Operation == StorageOperation.Flush), what, "the parent was changed");

    private static void Require(bool holds, string what, string otherwise)
    {
        if (!holds)
        {
            throw new OracleException($"{what}: {otherwise}.");
        }
    }
}
