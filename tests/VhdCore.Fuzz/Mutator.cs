using System.Buffers.Binary;
using VhdCore.Testing.Independent;

namespace VhdCore.Fuzz;

/// <summary>Damages a case in one to four ways, with the structures' places known; the same damage for the same seed.</summary>
internal sealed class Mutator
{
    private const int MaxFileLength = 1 << 20; // bytes

    // Offset and size in bytes.
    internal static readonly (int Offset, int Size)[] FooterFields =
    [
        (0, 8), (8, 4), (12, 4), (16, 8), (24, 4), (28, 4), (32, 4), (36, 4), (40, 8), (48, 8), (56, 2), (58, 1), (59, 1), (60, 4), (64, 4), (68, 8), (84, 1), (85, 1),
    ];

    // Programs whose disks are sized, laid out or trusted by rules of their own.
    private static readonly string[] Creators = ["vpc ", "qemu", "qem2", "tap\0", "win ", "caml", "vbox"];

    internal static readonly (int Offset, int Size)[] HeaderFields =
    [
        (0, 8), (8, 8), (16, 8), (24, 4), (28, 4), (32, 4), (36, 4), (40, 8), (48, 8), (56, 4), (64, 8),
        .. Enumerable.Range(0, 8).SelectMany(i => new[] { (576 + (24 * i), 4), (580 + (24 * i), 4), (584 + (24 * i), 4), (592 + (24 * i), 8) }),
    ];

    private readonly Random _random;
    private readonly List<string> _done = [];
    private bool _mend;

    private Mutator(int seed) => _random = new Random(seed);

    /// <summary>A case of the corpus, damaged.</summary>
    public static FuzzCase Mutate(int seed) => new Mutator(seed).Run();

    private FuzzCase Run()
    {
        var source = Corpus.Cases[_random.Next(Corpus.Cases.Count)];
        var files = source.Files.ToDictionary(file => file.Key, file => (byte[])file.Value.Clone());
        _mend = _random.Next(4) > 0; // checksums are right again in three of four cases, so that damage gets past them
        var count = 1 + _random.Next(4);
        for (var i = 0; i < count && files.Count > 0; i++)
        {
            // The leaf more often than its parents.
            var name = _random.Next(2) == 0 ? source.Leaf : files.Keys.Order(StringComparer.Ordinal).ElementAt(_random.Next(files.Count));
            if (files.TryGetValue(name, out var file))
            {
                Damage(files, name, file, source);
            }
        }

        return new FuzzCase($"{source.Description}: {string.Join(", ", _done)}{(_mend ? ", sums mended" : "")}", source.Leaf, files);
    }

    private void Damage(Dictionary<string, byte[]> files, string name, byte[] file, FuzzCase source)
    {
        switch (_random.Next(16))
        {
            case 0 or 1 or 2:
                ChangeFooter(name, file);
                break;
            case 3 or 4 or 5:
                ChangeHeader(name, file);
                break;
            case 6 or 7:
                ChangeTable(name, file);
                break;
            case 8:
                ChangeBitmap(name, file);
                break;
            case 9:
                FlipBytes(name, file, 0, file.Length);
                break;
            case 10:
                FlipBytes(name, file, 0, Math.Min(file.Length, 4096));
                break;
            case 11:
                files[name] = Truncate(name, file);
                break;
            case 12:
                files[name] = Extend(name, file);
                break;
            case 13:
                var donor = _random.Next(2) == 0 ? source : Corpus.Cases[_random.Next(Corpus.Cases.Count)];
                Splice(name, file, donor.Files.Values.ElementAt(_random.Next(donor.Files.Count)));
                break;
            case 14:
                ChangeLocator(name, file, files);
                break;
            default:
                SwapFiles(files, name);
                break;
        }

        if (_mend && files.TryGetValue(name, out var damaged))
        {
            Mend(damaged);
        }
    }

    /// <summary>Makes the checksums of both footers and the header right.</summary>
    internal static void Mend(byte[] file)
    {
        PlainWriting.MendFooter(file, file.Length - 512);
        if (IsBlockBased(file))
        {
            PlainWriting.MendFooter(file, 0);
            PlainWriting.MendHeader(file, 512);
        }
    }

    internal static bool IsBlockBased(byte[] file) => file.Length >= 1536 && PlainBytes.HasText(file, 512, "cxsparse");

    private void ChangeFooter(string name, byte[] file)
    {
        if (file.Length < 512)
        {
            return;
        }

        var (offset, size) = FooterFields[_random.Next(FooterFields.Length)];
        var which = IsBlockBased(file) ? _random.Next(4) : 1; // 0: only the copy, 1: only the end, else both alike
        var bytes = offset == 28 ? System.Text.Encoding.ASCII.GetBytes(Creators[_random.Next(Creators.Length)]) : Value(size, file);
        if (which != 1)
        {
            bytes.CopyTo(file, offset);
        }

        if (which != 0)
        {
            bytes.CopyTo(file, file.Length - 512 + offset);
        }

        _done.Add($"{name} footer+{offset} = {Convert.ToHexString(bytes)} at {(which switch { 0 => "the copy", 1 => "the end", _ => "both" })}");
    }

    private void ChangeHeader(string name, byte[] file)
    {
        if (!IsBlockBased(file))
        {
            return;
        }

        var (offset, size) = HeaderFields[_random.Next(3) == 0 ? _random.Next(HeaderFields.Length) : _random.Next(11)];
        var bytes = Value(size, file);
        bytes.CopyTo(file, 512 + offset);
        _done.Add($"{name} header+{offset} = {Convert.ToHexString(bytes)}");
    }

    private void ChangeTable(string name, byte[] file)
    {
        if (Table(file) is not var (offset, count) || count == 0)
        {
            return;
        }

        var entry = offset + (4 * _random.Next(count));
        var other = offset + (4 * _random.Next(count));
        uint value = _random.Next(6) switch
        {
            0 => BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(other)), // two entries, one block
            1 => (uint)_random.Next((file.Length / 512) + 2),
            2 => (uint)(file.Length / 512) - (uint)_random.Next(20),
            3 => BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(other)) + (uint)_random.Next(1, 9), // overlapping
            4 => uint.MaxValue - (uint)_random.Next(3),
            _ => (uint)_random.NextInt64(uint.MaxValue),
        };
        BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(entry), value);
        _done.Add($"{name} table[{(entry - offset) / 4}] = 0x{value:X}");
    }

    private void ChangeBitmap(string name, byte[] file)
    {
        if (Table(file) is not var (offset, count) || count == 0)
        {
            return;
        }

        var start = (long)BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(offset + (4 * _random.Next(count)))) * 512;
        if (start <= file.Length - 512)
        {
            FlipBytes(name, file, (int)start, (int)start + _random.Next(1, 20));
        }
    }

    private void FlipBytes(string name, byte[] file, int from, int to)
    {
        for (var i = _random.Next(1, 9); i > 0 && to > from; i--)
        {
            var at = _random.Next(from, to);
            file[at] = (byte)(_random.Next(3) switch { 0 => file[at] ^ (1 << _random.Next(8)), 1 => 0, _ => _random.Next(256) });
            _done.Add($"{name}[{at}] = {file[at]:X2}");
        }
    }

    private byte[] Truncate(string name, byte[] file)
    {
        var length = _random.Next(3) switch
        {
            0 => _random.Next(file.Length + 1),
            1 => _random.Next((file.Length / 512) + 1) * 512,
            _ => Math.Max(0, file.Length - _random.Next(1, 1100)),
        };
        _done.Add($"{name} cut to {length}");
        return file[..length];
    }

    private byte[] Extend(string name, byte[] file)
    {
        var more = new byte[_random.Next(2) == 0 ? _random.Next(1, 2000) : 512 * _random.Next(1, 20)];
        if (_random.Next(2) == 0)
        {
            _random.NextBytes(more);
        }

        _done.Add($"{name} made {more.Length} longer");
        return file.Length + more.Length > MaxFileLength ? file : [.. file, .. more];
    }

    private void Splice(string name, byte[] file, byte[] from)
    {
        var length = Math.Min(Math.Min(file.Length, from.Length), _random.Next(2) == 0 ? 512 : _random.Next(1, 5000));
        var source = _random.Next(from.Length - length + 1);
        var target = _random.Next(file.Length - length + 1);
        switch (_random.Next(4))
        {
            case 0 or 1:
                (source, target) = (source / 512 * 512, target / 512 * 512);
                break;
            case 2 when length == 512:
                (source, target) = (from.Length - 512, file.Length - 512); // another disk's footer, as a guest or a crash may leave one at the end
                break;
        }

        Array.Copy(from, source, file, target, length);
        _done.Add($"{name}[{target}..] = {length} bytes from {source}");
    }

    private void ChangeLocator(string name, byte[] file, Dictionary<string, byte[]> files)
    {
        if (!IsBlockBased(file) || _random.Next(3) == 0)
        {
            // A child of itself or of a file in the same case, by identifier.
            var other = files.Values.ElementAt(_random.Next(files.Count));
            if (IsBlockBased(file) && other.Length >= 512)
            {
                Array.Copy(other, other.Length - 512 + 68, file, 512 + 40, 16);
                _done.Add($"{name} takes another parent's identifier");
            }

            return;
        }

        // Every name that the image has for its parent leads to a file of the case, itself perhaps.
        var target = files.Keys.Order(StringComparer.Ordinal).ElementAt(_random.Next(files.Count));
        var text = _random.Next(4) == 0 ? "../../" + target : target;
        for (var i = 0; i < 8; i++)
        {
            var entry = 512 + 576 + (24 * i);
            var offset = (long)BinaryPrimitives.ReadUInt64BigEndian(file.AsSpan(entry + 16));
            var isMac = PlainBytes.HasText(file, entry, "MacX");
            var data = isMac ? System.Text.Encoding.UTF8.GetBytes(text) : System.Text.Encoding.Unicode.GetBytes(text);
            if (file[entry] != 0 && offset >= 0 && offset <= file.Length - data.Length)
            {
                data.CopyTo(file, offset);
                BinaryPrimitives.WriteInt32BigEndian(file.AsSpan(entry + 8), data.Length);
            }
        }

        _done.Add($"{name}'s locators lead to {text}");
    }

    private void SwapFiles(Dictionary<string, byte[]> files, string name)
    {
        var other = files.Keys.Order(StringComparer.Ordinal).ElementAt(_random.Next(files.Count));
        if (_random.Next(3) == 0)
        {
            files.Remove(name);
            _done.Add($"{name} removed");
        }
        else
        {
            (files[name], files[other]) = (files[other], files[name]);
            _done.Add($"{name} and {other} swapped");
        }
    }

    /// <summary>Where the table lies and how many entries of it lie in the file.</summary>
    private static (int Offset, int Count)? Table(byte[] file)
    {
        if (!IsBlockBased(file))
        {
            return null;
        }

        var offset = BinaryPrimitives.ReadUInt64BigEndian(file.AsSpan(512 + 16));
        var count = BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(512 + 28));
        return offset >= (ulong)file.Length ? null : ((int)offset, (int)Math.Min(count, ((ulong)file.Length - offset) / 4));
    }

    /// <summary>A value of that size, big-endian: extreme, near something that matters, or random.</summary>
    private byte[] Value(int size, byte[] file)
    {
        ulong value = _random.Next(10) switch
        {
            0 => 0,
            1 => ulong.MaxValue,
            2 => ulong.MaxValue >> 1,
            3 => 1UL << _random.Next(64),
            4 => (1UL << _random.Next(64)) - 1,
            5 => (ulong)file.Length - (ulong)_random.Next(1200),
            6 => (ulong)_random.Next(16),
            7 => (ulong)_random.Next(200) * 512,
            8 => (ulong)_random.Next(file.Length + 1),
            _ => (ulong)_random.NextInt64(),
        };
        var bytes = new byte[size];
        PlainWriting.Number(bytes, 0, value, size);
        return bytes;
    }
}
